-- Returns the due wake-ups, each made due again before it is acted on: a watcher that dies loses none.
-- KEYS wakeups
-- ARGV limit rearm_ms
local now = now_ms()
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
return { wakeups, first[2] and math.max(0, math.min(tonumber(first[2]) - now, 60000)) or -1 }
