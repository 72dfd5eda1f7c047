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

-- Removes the keys that hold something of another type than ours: damage must not refuse every run to come.
local function remove_foreign(kind, ...)
  for _, key in ipairs({ ... }) do
    local found = redis.call('TYPE', key)['ok']
    if found ~= kind and found ~= 'none' then redis.call('DEL', key) end
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

-- Removes a closed run from the open ones; a backlog below the floor ends the period in which its rate is measured.
local function leave_open(open, busy, run_id, floor)
  redis.pcall('ZREM', open, run_id)
  local left = redis.pcall('ZCARD', open)
  if type(left) ~= 'number' or left < tonumber(floor) then redis.call('DEL', busy) end
end

-- Wakes readers that wait for the end; expires with the run.
local function announce_end(run, ending, kind)
  append(run, ending, 'type', kind)
end

-- Sign of life of the workers of a queue; it expires when they are silent for twice the time between two renewals.
local function serve(key)
  redis.call('SET', key, 1, 'PX', 1000)
end
