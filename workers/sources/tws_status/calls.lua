-- Says how many calls to a TWS instance one holder may make at once: of a bound for all workers, shared by the runs.
-- A holder is a task that asks an instance for a run. An entry is left when its holder dies, and counts until it expires.
-- KEYS holders of the instance: a hash of "expires_ms|since_ms|granted|wanted|run"
-- ARGV holder run limit using wanted lease_ms turn_ms; nothing used and wanted ends the holder
-- returns { granted, 1 when others wait }
local key, me, run = KEYS[1], ARGV[1], ARGV[2]
local limit, using, wanted = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local lease = tonumber(ARGV[6])

local kind = redis.call('TYPE', key)['ok']
if kind ~= 'hash' and kind ~= 'none' then
    redis.call('RENAME', key, key .. ':set_aside')
    redis.call('EXPIRE', key .. ':set_aside', 604800)
end

if using == 0 and wanted == 0 then
    redis.call('HDEL', key, me)
    return { 0, 0 }
end

-- Part of `total` that one of several demands gets: what the small ones leave is shared by the others; at least 1.
local function share(total, demands, own)
    table.sort(demands)
    local left = total
    for index, demand in ipairs(demands) do
        local equal = math.floor(left / (#demands - index + 1))
        if demand > equal then return math.max(1, math.min(own, equal)) end
        if demand == own then return own end
        left = left - demand
    end
    return own
end

local others, mine = {}, nil
local entries = redis.call('HGETALL', key)
for index = 1, #entries, 2 do
    local expires, since, granted, want, its_run = string.match(entries[index + 1], '^(%d+)|(%d+)|(%d+)|(%d+)|(.*)$')
    local entry = { since = tonumber(since), granted = tonumber(granted), wanted = tonumber(want), run = its_run }
    -- An expiry that is too far away is none of ours: it would hold its calls for ever.
    if not expires or tonumber(expires) <= now or tonumber(expires) > now + 10 * lease then
        redis.call('HDEL', key, entries[index])
    elseif entries[index] == me then
        mine = entry
    else
        table.insert(others, entry)
    end
end

local held, held_by_run, wanted_by_run = 0, { [run] = 0 }, { [run] = wanted }
local wants, waits_in_run, is_crowded = { wanted }, false, false
for _, entry in ipairs(others) do
    held = held + entry.granted
    held_by_run[entry.run] = (held_by_run[entry.run] or 0) + entry.granted
    wanted_by_run[entry.run] = (wanted_by_run[entry.run] or 0) + entry.wanted
    is_crowded = is_crowded or entry.granted < entry.wanted
    if entry.run == run then
        table.insert(wants, entry.wanted)
        waits_in_run = waits_in_run or entry.granted == 0
    end
end
local demands, waits_as_run = {}, false
for its_run, demand in pairs(wanted_by_run) do
    table.insert(demands, demand)
    waits_as_run = waits_as_run or (its_run ~= run and held_by_run[its_run] == 0)
end

local of_run = share(limit, demands, wanted_by_run[run])
-- A run that is alone leaves some, so that the first calls of the next one need not wait.
if #demands == 1 then of_run = math.min(of_run, limit - math.floor(limit / 8)) end
local granted = math.min(share(of_run, wants, wanted), of_run - held_by_run[run], limit - held)

local has_any = mine ~= nil and mine.granted > 0
local since = mine ~= nil and mine.since or now
if has_any then
    -- With more holders than calls each has its turn.
    local is_over = now - since >= tonumber(ARGV[7])
    if is_over and ((waits_in_run and #wants > of_run) or (waits_as_run and #demands > limit)) then granted = 0 end
elseif granted > 0 then
    -- Those who have waited for longer come first: holders of the same run, and runs that have nothing.
    local ahead_in_run, ahead = 0, 0
    for _, entry in ipairs(others) do
        if entry.granted == 0 and entry.since < since then
            if entry.run == run then ahead_in_run = ahead_in_run + 1
            elseif held_by_run[entry.run] == 0 then ahead = ahead + 1 end
        end
    end
    granted = math.min(granted, of_run - held_by_run[run] - ahead_in_run, limit - held - ahead)
end
granted = math.max(granted, using, 0)
if has_any ~= (granted > 0) then since = now end

redis.call('HSET', key, me, string.format('%d|%d|%d|%d|%s', now + lease, since, granted, wanted, run))
redis.call('PEXPIRE', key, 10 * lease)
return { granted, is_crowded and 1 or 0 }
