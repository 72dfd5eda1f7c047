-- Stores the plan once and appends "routed"; a second dispatcher of the same run gets the plan of the first.
-- KEYS run events
-- ARGV token plan expected routed_data
local state = redis.call('HGET', KEYS[1], 'state')
if not state then return { 'not_found' } end
if state ~= 'dispatching' or redis.call('HGET', KEYS[1], 'dispatch_token') ~= ARGV[1] then
  return { 'refused', state }
end
local known = redis.call('HGET', KEYS[1], 'plan')
if known then return { 'ok', known } end
redis.call('HSET', KEYS[1], 'plan', ARGV[2], 'expected', ARGV[3])
emit(KEYS[1], KEYS[2], 'routed', 0, now_ms(), ARGV[4])
return { 'ok', ARGV[2] }
