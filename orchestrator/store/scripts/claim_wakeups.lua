-- Returns the due wake-ups, each made due again before it is acted on: a watcher that dies loses none. Total deadlines
-- come first, the soonest first; those of the next ahead_ms too, where nobody is at work on the run after its fan-in.
-- Each wake-up is followed by 1 if it is early.
-- KEYS wakeups clock open completed expired instances watchers rates synthesis
-- ARGV total_limit other_limit rearm_ms ahead_ms margin_ms elapsed_ms(since the caller's last claim; -1: none)
--      is_confirmed(0|1) prefix_of_keys
local FORWARD_MS, BACK_MS = 2000, 100
local now = now_ms()

local function shift(key, step)
  local pairs_of = redis.pcall('ZRANGE', key, 0, -1, 'WITHSCORES')
  for i = 1, #pairs_of, 2 do
    redis.call('ZADD', key, string.format('%.0f', tonumber(pairs_of[i + 1]) + step), pairs_of[i])
  end
end

-- The claim of a source is "claim|started_ms", the other times are plain. Those of the queues' messages are names.
local function shift_run(run, step)
  local names = redis.pcall('HKEYS', run)
  for _, name in ipairs(names) do
    if string.find(name, '^s:') or name == 'deadline_ms' or name == 'fanin_ms' or name == 'created_ms'
      or name == 'lease_until' or name == 'dispatch_until' then
      local before, time = string.match(redis.call('HGET', run, name), '^(.-)(%d+)$')
      if time and #time <= 15 then redis.call('HSET', run, name, before .. string.format('%d', time + step)) end
    end
  end
end

-- The clock of a Redis steps when another host takes over, or when somebody sets it. Then every time that is stored
-- moves with it, once: the first claim after the step sees it by the time of the last claim of any watcher. A step back
-- shows by itself. For a step forward the caller says how much time has passed by its own clock; it is asked twice, as
-- a Redis that stood still may get a claim long after it was sent.
local stored = redis.pcall('GET', KEYS[2])
local last, elapsed = type(stored) == 'string' and number(stored) or 0, tonumber(ARGV[6])
-- Of the time since the last claim a step back shows nothing; it is about that since the caller's own, if that is short.
local step = now < last - BACK_MS and now - last - math.min(math.max(elapsed, 0), 250) or 0
if last > 0 and elapsed >= 0 and now - last > elapsed + FORWARD_MS then
  if ARGV[7] == '0' then return { {}, 0, now, {}, 'confirm' } end
  step = now - last - elapsed
end
-- A stored time that is more than a day away is damaged.
if math.abs(step) > 86400000 then step = 0 end
if step ~= 0 then
  local open = redis.pcall('ZRANGE', KEYS[3], 0, -1)
  for _, run_id in ipairs(open) do shift_run(ARGV[8] .. 'run:' .. run_id, step) end
  for _, i in ipairs({ 1, 3, 4, 5, 6, 7 }) do shift(KEYS[i], step) end
  local fields, shifted = redis.pcall('HKEYS', KEYS[8]), {}
  for _, field in ipairs(fields) do -- of a queue, or of one of its lanes
    local lane = string.match(field, '^[^|]*')
    for _, name in ipairs({ 'waiting:' .. lane, 'running:' .. string.match(lane, '^[^\6]*') }) do
      if not shifted[name] then shift(ARGV[8] .. name, step) end
      shifted[name] = true
    end
  end
  redis.call('DEL', KEYS[8], KEYS[9])
end
redis.call('SET', KEYS[2], string.format('%d', now))

local total_limit, other_limit, rearm = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local ahead, margin = tonumber(ARGV[4]), tonumber(ARGV[5])
local wakeups, totals = {}, 0

local function claim(member, kind, is_early)
  totals = totals + (kind == 'total' and 1 or 0)
  redis.call('ZADD', KEYS[1], now + rearm, member)
  wakeups[#wakeups + 1] = member
  wakeups[#wakeups + 1] = is_early and 1 or 0
end

local function is_free(run_id)
  local fields = redis.pcall('HMGET', ARGV[8] .. 'run:' .. run_id, 'fanin_ms', 'lease_until')
  return not fields.err and number(fields[1]) <= now and number(fields[2]) <= now
end

local soon = redis.pcall('ZRANGEBYSCORE', KEYS[3], now - 60000, now + margin + ahead, 'WITHSCORES', 'LIMIT', 0,
  total_limit + 200)
soon = soon.err and {} or soon
for i = 1, #soon, 2 do
  if totals >= total_limit then break end
  local member = soon[i] .. '|total'
  -- An open run whose wake-up was lost is due all the same.
  local due = tonumber(redis.call('ZSCORE', KEYS[1], member) or tonumber(soon[i + 1]) - margin)
  local run_id = string.match(soon[i], '^[%w_-]+$')
  if not run_id then
    redis.call('ZREM', KEYS[3], soon[i]) -- names no run
  elseif due <= now or (due <= now + ahead and is_free(run_id)) then claim(member, 'total', due > now) end
end
for _, member in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, other_limit)) do
  local kind = string.match(member, '^[%w_-]+|([%w_-]+)$')
  if not kind then
    redis.call('ZREM', KEYS[1], member) -- names no run
  elseif kind ~= 'total' or totals < total_limit then
    claim(member, kind)
  end
end

-- Of some open runs, each with twice as many before it: the time to the deadline, and the runs that have none later.
local crowd, count, all, past = {}, 0, redis.pcall('ZCARD', KEYS[3]), now - 60000
local gone = type(all) == 'number' and redis.call('ZCOUNT', KEYS[3], '-inf', past) or 0
while type(all) == 'number' and gone + count < all do
  local rank = math.min(gone + math.max(2 * count - 1, count), all - 1)
  local score = redis.call('ZRANGE', KEYS[3], rank, rank, 'WITHSCORES')[2]
  count = redis.call('ZCOUNT', KEYS[3], '-inf', score) - gone
  crowd[#crowd + 1] = math.min(tonumber(score) - now, 60000)
  crowd[#crowd + 1] = count
end
local first = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
-- A score may be infinite.
return { wakeups, first[2] and math.max(0, math.min(tonumber(first[2]) - now, 60000)) or -1, now, crowd,
  tostring(step) }
