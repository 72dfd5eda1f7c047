-- Returns the due wake-ups, each made due again before it is acted on: a watcher that dies loses none.
-- KEYS wakeups
-- ARGV limit rearm_ms
local now = now_ms()
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, tonumber(ARGV[1]))
for _, member in ipairs(due) do
  redis.call('ZADD', KEYS[1], 'XX', now + tonumber(ARGV[2]), member)
end
local first = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
return { due, first[2] and (tonumber(first[2]) - now) or -1 }
