-- Claims a closed run that is to be packed; one that is not packed then is due again.
-- KEYS unpacked old_reader
-- ARGV pause_ms(since its end) rearm_ms
if redis.call('EXISTS', KEYS[2]) == 1 then return { 'none' } end
local now = now_ms()
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now - tonumber(ARGV[1]), 'LIMIT', 0, 1)[1]
if not due then return { 'none' } end
redis.call('ZADD', KEYS[1], now - tonumber(ARGV[1]) + tonumber(ARGV[2]), due)
return { 'ok', due }
