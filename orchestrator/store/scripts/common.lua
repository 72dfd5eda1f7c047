-- Precedes every script. Times are epoch milliseconds of this Redis server: one clock for all processes.
local function now_ms()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

-- A number of the run; a damaged one counts as 0, so that the run can still be closed. Up to 15 digits, which are exact
-- here; same as read_number in Python.
local function number(text)
  text = text and string.match(text, '^%-?%d+$')
  return text and #text <= 16 and tonumber(text) or 0
end

-- The deadline of a run; one more than a day away is damaged (read_deadline in Python).
local function deadline(text, now)
  local value = number(text)
  return value <= now + 86400000 and value or 0
end

-- Like HINCRBY by 1, which fails on a damaged number.
local function increase(run, field)
  local value = number(redis.call('HGET', run, field)) + 1
  redis.call('HSET', run, field, string.format('%d', value))
  return value
end

-- The plan of each stage is written once, in a field of its own. "stage" is the number of the stage that is asked or is to
-- be planned, "to_come" how many there are after the last that is planned, "awaited" the keys of the sources whose answers
-- end it (none: all).
local MAX_STAGES = 9

local function stage_number(text)
  return math.min(math.max(number(text), 1), MAX_STAGES)
end

local function plan_field(stage)
  return stage > 1 and 'plan:' .. string.format('%d', stage) or 'plan'
end

-- Whether every source has answered that is asked, and none is to be asked yet.
local function has_every_answer(received, expected, to_come)
  return number(received) >= number(expected) and number(to_come) <= 0
end

-- Appends to a stream of the run. A new stream expires with the run; a key of another type, or a stream that takes no
-- further entry because its last id is the last possible one, is replaced, so that the terminal event can be appended.
local function append(run, stream, ...)
  local kind = redis.call('TYPE', stream)['ok']
  if kind ~= 'stream' then redis.call('DEL', stream) end
  if redis.pcall('XADD', stream, '*', ...).err then
    kind = 'none'
    redis.call('DEL', stream)
    redis.call('XADD', stream, '*', ...)
  end
  if kind ~= 'stream' and redis.call('TTL', run) > 0 then redis.call('EXPIRE', stream, redis.call('TTL', run)) end
end

-- Renames the keys that hold something of another type than ours: damage must not refuse every run to come. What was
-- found is kept for a week.
local function set_foreign_aside(kind, ...)
  for _, key in ipairs({ ... }) do
    local found = redis.call('TYPE', key)['ok']
    if found ~= kind and found ~= 'none' then
      redis.call('RENAME', key, key .. ':set_aside')
      redis.call('EXPIRE', key .. ':set_aside', 604800)
    end
  end
end

local function is_closed(state)
  return state == 'done' or state == 'cancelled'
end

-- Appends an event. Beyond the limit only the terminal event is appended, for which one place is reserved; the others
-- are counted in the field "dropped", which the terminal event repeats.
local function emit(run, events, kind, attempt, now, data)
  local limit = number(redis.call('HGET', run, 'event_limit'))
  if limit <= 0 then limit = 2000 end
  local length = redis.pcall('XLEN', events)
  if kind ~= 'final' and kind ~= 'cancelled' and type(length) == 'number' and length >= limit - 1 then
    increase(run, 'dropped')
    return
  end
  append(run, events, 'type', kind, 'attempt', attempt or 0, 'at', string.format('%d', now), 'data', data)
end

-- Adds a number to a JSON object that is not empty, without decoding it: cjson would turn [] into {}.
local function with_numbers(json, text)
  return string.sub(json, 1, -2) .. ',' .. text .. '}'
end

-- What follows the terminal event must not fail the call that wrote it: a key of another type is somebody's damage.
local function disarm_all(wakeups, run_id)
  redis.pcall('ZREM', wakeups, run_id .. '|dispatch', run_id .. '|fanin', run_id .. '|lease', run_id .. '|total')
end

-- Wakes readers that wait for the end; expires with the run.
local function announce_end(run, ending, kind)
  append(run, ending, 'type', kind)
end

-- Sign of life of the workers of a queue; it expires when they are silent for twice the time between two renewals.
local function serve(key)
  redis.call('SET', key, 1, 'PX', 1000)
end

-- A queue as two keys: "waiting", the messages that are still of use, run_id|since_ms|key by the time until which they
-- are; "list", the broker's own.
local FULL_MS, SURE_MS, LARGE_POOL = 150, 500, 32
local AWAY_MS, BACK_MS = 500, 5000

local function queue_at(index)
  return { waiting = KEYS[index], list = KEYS[index + 1] }
end

local function member(run_id, since, key)
  return run_id .. '|' .. string.format('%d', since) .. '|' .. key
end

-- The number of a reply, 0 for a key of another type.
local function count_of(reply)
  return type(reply) == 'number' and reply or 0
end

-- The longest time for which workers that are there take nothing: of slow tasks a pool takes many at once and then none,
-- and in the queue of a source there may be many messages that have come too late, which are not counted.
local function longest_pause(name, ms)
  return math.max(name == 'orchestrator' and ms > 0 and 500 or 6000, 2 * ms)
end

-- What was measured of a queue: mean milliseconds of a task; messages that workers took since a time, and the last of
-- them. Damage is no measurement. Nor is one in which none was taken for longer than tasks take: the workers were away,
-- or Redis was, and an outage is no load.
local function measured(rates, name, now)
  local text = redis.pcall('HGET', rates, name)
  text = type(text) == 'string' and text or ''
  local ms, taken, since, last = string.match(text, '^(%d+%.?%d*) (%d+%.?%d*) (%d+) (%d+)$')
  ms, taken, since, last = tonumber(ms), tonumber(taken), number(since), number(last)
  if not ms or ms > 1000000 or taken > 1000000 or since > now or last > now then return 0, 0, 0, 0 end
  if now - last > longest_pause(name, ms) then return ms, 0, 0, 0 end
  return ms, taken, since, last
end

local function remember(rates, name, ms, taken, since, last)
  set_foreign_aside('hash', rates)
  redis.call('HSET', rates, name, string.format('%.1f %.1f %d %d', ms, taken, since, last))
  redis.call('EXPIRE', rates, 3600)
end

-- The tasks of a queue in slots of five seconds, enough of them for a minute, whose fields are written again and again:
-- "slot arrived turned_away ended milliseconds squares", the last two as their sums. Both lanes of a queue count together.
-- "|since" is the time from which all is counted.
local SLOT_MS, SLOTS = 5000, 13

local function slot_of(rates, name, number_of_slot)
  local text = redis.pcall('HGET', rates, string.format('%s|%d', name, number_of_slot % SLOTS))
  text = type(text) == 'string' and text or ''
  local slot, arrived, turned_away, ended, ms, squares = string.match(text, '^(%d+) (%d+) (%d+) (%d+) (%d+) (%d+)$')
  if number(slot) ~= number_of_slot then return end
  return number(arrived), number(turned_away), number(ended), number(ms), number(squares)
end

local function tally(rates, lane, now, arrived, turned_away, ended, ms)
  local name, slot = string.match(lane, '^[^\6]*'), math.floor(now / SLOT_MS)
  local before = { slot_of(rates, name, slot) }
  if not before[1] then
    before = { 0, 0, 0, 0, 0 }
    set_foreign_aside('hash', rates)
    redis.call('HSETNX', rates, '|since', string.format('%d', now))
    redis.call('EXPIRE', rates, 3600)
  end
  ms = math.max(0, ms)
  redis.call('HSET', rates, string.format('%s|%d', name, slot % SLOTS), string.format('%d %d %d %d %d %d', slot,
    before[1] + arrived, before[2] + turned_away, before[3] + ended, before[4] + ms, before[5] + ms * ms))
end

-- A worker holds a task of a queue, until then at the latest, with a margin for what it does after its limit.
local function hold(running, run_id, key, until_ms, now)
  redis.pcall('ZREMRANGEBYSCORE', running, '-inf', now)
  redis.pcall('ZADD', running, until_ms + 1000, run_id .. '|' .. key)
  redis.pcall('EXPIRE', running, 3600)
end

local function release(running, run_id, key)
  redis.pcall('ZREM', running, run_id .. '|' .. key)
end

local function enqueue(queue, rates, name, run_id, key, until_ms, now)
  redis.pcall('ZREMRANGEBYSCORE', queue.waiting, '-inf', now)
  local is_new = redis.pcall('ZADD', queue.waiting, until_ms, member(run_id, now, key)) == 1
  redis.pcall('EXPIRE', queue.waiting, 3600)
  if is_new then tally(rates, name, now, 1, 0, 0, 0) end
end

-- Whether the last planned stage of a run is over, and another is to come: the run is accepted again then, to be
-- dispatched like a new one.
local function begin_next_stage(queue, rates, run, run_id, fanin_ms, now)
  local fields = redis.call('HMGET', run, 'to_come', 'stage', 'awaited', 'received', 'expected')
  local stage = stage_number(fields[2])
  if number(fields[1]) <= 0 or redis.call('HEXISTS', run, plan_field(stage)) == 0 then return false end
  local awaited = fields[3] or ''
  if awaited == '' and number(fields[4]) < number(fields[5]) then return false end
  for key in string.gmatch(awaited, '[^\n]+') do
    if redis.call('HEXISTS', run, 'e:' .. key) == 0 then return false end
  end
  redis.call('HSET', run, 'state', 'accepted', 'stage', stage + 1, 'accepted_ms', string.format('%d', now))
  redis.call('HDEL', run, 'republished')
  enqueue(queue, rates, 'orchestrator', run_id, '', number(fanin_ms), now)
  return true
end

-- Notes that the body of a run's chord has been called.
local function call_body(queue, rates, run, run_id, deadline_ms, now)
  redis.call('HSET', run, 'called_ms', string.format('%d', now))
  enqueue(queue, rates, 'synthesis', run_id, '', deadline_ms, now)
end

-- Notes that a message waits no longer: a worker has taken it, or a caller what it asks for. What workers take is
-- counted from the time since which some have always waited, or had to wait when they came: that is what the workers can
-- do, and not what they were asked to do.
local function take(queue, rates, name, run_id, key, since, now, by_worker)
  if redis.pcall('ZREM', queue.waiting, member(run_id, since, key)) ~= 1 or by_worker ~= '1' then return end
  local ms, taken, from, last = measured(rates, name, now)
  local was_full = now - since > FULL_MS and last - from > FULL_MS
  if taken == 0 then
    from = now
  elseif last < since and not was_full then
    taken, from = 0, since
  end
  -- Of fast tasks the last second or two tell enough, and most of what they can do now.
  if now - from > (ms > 0 and math.max(1000, 3 * ms) or 4000) or taken >= 256 then taken, from = taken / 2, now - (now - from) / 2 end
  remember(rates, name, ms, taken + 1, from, now)
  -- The workers were away if the first that they take has waited for so long.
  if taken == 0 and now - since > AWAY_MS then redis.call('HSET', rates, name .. '|back', string.format('%d', now)) end
end

-- Notes the end of a task that began at that time.
local function note_end(rates, name, began, now)
  local ms, taken, from, last = measured(rates, name, now)
  remember(rates, name, ms > 0 and ms + 0.2 * (now - began - ms) or now - began, taken, from, last)
end

-- How long a message would wait that is put into a queue now behind "more" others, in milliseconds, by Little's law: 0
-- while the queue keeps up, and where nothing is known of it. Also: messages that wait, taken in a second, mean
-- milliseconds of a task, for how long the first has waited where much was measured, and whether the workers came back
-- only now. With "before", only those count that are of use until an earlier time.
local function backlog(queue, rates, name, more, now, before)
  before = before and string.format('(%d', before) or '+inf'
  -- The smaller number: some may be of no use any more, and some may have been taken by workers of an older version.
  local waiting = math.min(count_of(redis.pcall('ZCOUNT', queue.waiting, string.format('(%d', now), before)),
    count_of(redis.pcall('LLEN', queue.list)))
  if waiting == 0 then return 0, 0, 0, 0, 0 end
  local first = redis.call('ZRANGEBYSCORE', queue.waiting, string.format('(%d', now), '+inf', 'LIMIT', 0, 1)[1]
  local since = number(string.match(first, '^[^|]*|(%d+)|'))
  local ms, taken, from, last = measured(rates, name, now)
  -- Where nothing is known, there may be no worker: the caller may ask the source itself.
  if now - since <= FULL_MS or taken == 0 then return 0, waiting, 0, ms, 0 end
  local is_sure = now - from >= SURE_MS
  -- The doubt of the beginning counts for the workers.
  if not is_sure then taken = taken + 2 * math.sqrt(taken) + 2 end
  -- A pool that has just become full is taken to be large until it takes the next one.
  local is_new = last < since and last - from <= FULL_MS
  -- A full pool takes none for the time of a task: that time is no evidence.
  local per_ms = is_new and LARGE_POOL / (now - since) or taken / math.max(last - from, now - from - ms, 1)
  local is_back = now - number(redis.call('HGET', rates, name .. '|back')) < BACK_MS
  return (waiting + more) / per_ms, waiting, per_ms * 1000, ms, is_sure and now - since or 0, is_back
end

-- Removes runs from the index that are gone; some at a time.
local function leave(index, leaving, now)
  local gone = redis.pcall('ZRANGEBYSCORE', leaving, '-inf', now, 'LIMIT', 0, 100)
  if gone.err or #gone == 0 then return end
  redis.pcall('ZREM', index, unpack(gone))
  redis.pcall('ZREM', leaving, unpack(gone))
end

-- Of the time to live by outcome, "complete=86400 ...", that of an outcome; nil for what no bound of ours allows.
local function ttl_of(ttls, outcome)
  local ttl = ttls and number(string.match(' ' .. ttls, ' ' .. outcome .. '=(%d+)')) or 0
  return ttl > 0 and ttl <= 315360000 and ttl or nil
end

-- What follows a run's end. All its keys expire by its outcome. It is to be packed, unless a client that cannot read that
-- has submitted it, or another run within the last hour.
-- KEYS from first on: unpacked old_reader index leaving
local MAX_UNPACKED, OLD_READER_SECONDS = 100000, 3600

local function settle(run, events, ending, first, run_id, outcome, now)
  local fields = redis.call('HMGET', run, 'reads_packed', 'ttls', 'idempotency')
  local ttl = ttl_of(fields[2], outcome)
  if ttl then
    for _, key in ipairs({ run, events, ending }) do redis.call('EXPIRE', key, ttl) end
    if fields[3] and redis.pcall('GET', fields[3]) == run_id then redis.call('EXPIRE', fields[3], ttl) end
    local index, leaving = KEYS[first + 2], KEYS[first + 3]
    redis.pcall('ZADD', leaving, now + ttl * 1000, run_id)
    for _, key in ipairs({ index, leaving }) do
      if redis.call('TTL', key) < ttl then redis.call('EXPIRE', key, ttl) end
    end
  end
  if fields[1] ~= '1' then
    redis.call('SET', KEYS[first + 1], 1, 'EX', OLD_READER_SECONDS)
    return
  end
  redis.pcall('ZADD', KEYS[first], now, run_id)
  redis.pcall('ZREMRANGEBYRANK', KEYS[first], 0, -MAX_UNPACKED - 1)
  redis.pcall('EXPIRE', KEYS[first], 86400)
end

-- Adds to the counters that all processes share: "field number field number ...". What follows the terminal event must
-- not fail the call that wrote it, nor may a full Redis hide why a run is refused.
local function count_up(counters, text, now)
  redis.pcall('HSETNX', counters, 'since', string.format('%d', now))
  for name, amount in string.gmatch(text, '(%S+) (%d+)') do redis.pcall('HINCRBY', counters, name, amount) end
  redis.pcall('EXPIRE', counters, 2592000)
end
