-- Returns the due wake-ups, each made due again before it is acted on: a watcher that dies loses none.
-- KEYS wakeups clock open completed expired instances watchers rates synthesis
-- ARGV limit rearm_ms elapsed_ms(since the caller's last claim; -1: none) is_confirmed(0|1) prefix_of_runs
local FORWARD_MS, BACK_MS = 2000, 100
local now = now_ms()

local function shift(key, step)
  local pairs_of = redis.pcall('ZRANGE', key, 0, -1, 'WITHSCORES')
  for i = 1, #pairs_of, 2 do
    redis.call('ZADD', key, string.format('%.0f', tonumber(pairs_of[i + 1]) + step), pairs_of[i])
  end
end

-- The claim of a source is "claim|started_ms", the other times are plain.
local function shift_run(run, step)
  local names = redis.pcall('HKEYS', run)
  for _, name in ipairs(names) do
    local is_claim = string.sub(name, 1, 2) == 's:'
    if is_claim or name == 'deadline_ms' or name == 'fanin_ms' or name == 'created_ms' or name == 'lease_until'
      or name == 'dispatch_until' then
      local before, time = string.match(redis.call('HGET', run, name), '^(.-)(%d+)$')
      if time and #time <= 15 then redis.call('HSET', run, name, before .. string.format('%d', time + step)) end
    end
  end
end

-- The clock of a Redis steps when another host takes over, or when somebody sets it. Then every time that is stored
-- moves with it, once: the first claim after the step sees it by the time of the last claim of any watcher. A step back
-- shows by itself. For a step forward the caller says how much time has passed by its own clock; it is asked twice, as
-- a Redis that stood still may get a claim long after it was sent.
local last, elapsed = number(redis.call('GET', KEYS[2])), tonumber(ARGV[3])
local step = now < last - BACK_MS and now - last or 0
if last > 0 and elapsed >= 0 and now - last > elapsed + FORWARD_MS then
  if ARGV[4] == '0' then return { {}, 0, 'confirm' } end
  step = now - last - elapsed
end
if step ~= 0 then
  local open = redis.pcall('ZRANGE', KEYS[3], 0, -1)
  for _, run_id in ipairs(open) do shift_run(ARGV[5] .. run_id, step) end
  for _, i in ipairs({ 1, 3, 4, 5, 6, 7 }) do shift(KEYS[i], step) end
  redis.call('DEL', KEYS[8], KEYS[9])
end
redis.call('SET', KEYS[2], string.format('%d', now))

local due, wakeups = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, tonumber(ARGV[1])), {}
for _, member in ipairs(due) do
  if string.find(member, '^[%w_-]+|[%w_-]+$') then
    redis.call('ZADD', KEYS[1], 'XX', now + tonumber(ARGV[2]), member)
    wakeups[#wakeups + 1] = member
  else
    -- Names no run.
    redis.call('ZREM', KEYS[1], member)
  end
end
local first = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
-- A score may be infinite.
return { wakeups, first[2] and math.max(0, math.min(tonumber(first[2]) - now, 60000)) or -1, tostring(step) }
