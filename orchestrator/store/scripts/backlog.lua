-- Of each queue: how long a message would wait that is put into it now, in milliseconds, and how many are taken in a
-- second; 0 and 0 while it keeps up.
-- KEYS rates, then for each queue: queue(2)
-- ARGV names of the queues
local now, replies = now_ms(), {}
for i = 1, #ARGV do
  local wait, _, per_second = backlog(queue_at(2 * i), KEYS[1], ARGV[i], 0, now)
  replies[i] = string.format('%.0f %.2g', math.min(wait, 1e9), math.min(per_second, 1e6))
end
return replies
