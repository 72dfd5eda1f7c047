-- The answer that another run has got to the same query, or who is to ask.
-- KEYS answer
-- ARGV token lease_ms
set_foreign_aside('string', KEYS[1])
local value = redis.call('GET', KEYS[1])
if value and string.sub(value, 1, 1) == '{' then return { 'ok', value } end
if value and value ~= ARGV[1] then return { 'wait' } end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return { 'ask' }
