-- Counts a request of a caller: so many in a minute at an even pace, and as many at once (GCRA).
-- KEYS caller
-- ARGV per_minute
-- The key has the time at which all that was counted is paid off. More than a minute ahead, the clock has stepped back.
local MINUTE = 60000
local now, step = now_ms(), MINUTE / tonumber(ARGV[1])
set_foreign_aside('string', KEYS[1])
local due = tonumber(redis.call('GET', KEYS[1]) or '') or now
if not (due >= now and due <= now + MINUTE) then due = now end
due = due + step
if due - now > MINUTE then return { 'refused', math.ceil((due - now - MINUTE) / 1000) } end
redis.call('SET', KEYS[1], string.format('%.3f', due), 'PX', math.ceil(due - now))
return { 'ok', 0 }
