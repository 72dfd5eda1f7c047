-- Precedes every script. Times are epoch milliseconds of this Redis server: one clock for all processes.
local function now_ms()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

-- A number of the run; a damaged one counts as 0, so that the run can still be closed.
local function number(text)
  return tonumber(text or '') or 0
end

local function is_closed(state)
  return state == 'done' or state == 'cancelled'
end

-- Appends an event. Beyond the limit only the terminal event is appended, for which one place is reserved; the others
-- are counted in the field "dropped", which the terminal event repeats.
local function emit(run, events, kind, attempt, now, data)
  local limit = tonumber(redis.call('HGET', run, 'event_limit') or '') or 2000
  if kind ~= 'final' and kind ~= 'cancelled' and redis.call('XLEN', events) >= limit - 1 then
    redis.call('HINCRBY', run, 'dropped', 1)
    return
  end
  redis.call('XADD', events, '*', 'type', kind, 'attempt', attempt or 0, 'at', string.format('%d', now), 'data', data)
end

-- Adds a number to a JSON object that is not empty, without decoding it: cjson would turn [] into {}.
local function with_numbers(json, text)
  return string.sub(json, 1, -2) .. ',' .. text .. '}'
end

local function disarm_all(wakeups, run_id)
  redis.call('ZREM', wakeups, run_id .. '|dispatch', run_id .. '|fanin', run_id .. '|lease', run_id .. '|total')
end

-- Removes a closed run from the open ones; a backlog below the floor ends the period in which its rate is measured.
local function leave_open(open, busy, run_id, floor)
  redis.call('ZREM', open, run_id)
  if redis.call('ZCARD', open) < tonumber(floor) then redis.call('DEL', busy) end
end

-- Wakes readers that wait for the end; expires with the run.
local function announce_end(run, ending, kind)
  redis.call('XADD', ending, '*', 'type', kind)
  redis.call('EXPIRE', ending, redis.call('TTL', run))
end
