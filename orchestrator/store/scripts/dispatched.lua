-- Marks the chord as published, so that the run is not published again.
-- KEYS run wakeups rates
-- ARGV run_id token
local state = redis.call('HGET', KEYS[1], 'state')
if not state then return { 'not_found' } end
if state ~= 'dispatching' or redis.call('HGET', KEYS[1], 'dispatch_token') ~= ARGV[2] then
  return { 'refused', state }
end
redis.call('HSET', KEYS[1], 'state', 'dispatched')
redis.call('ZREM', KEYS[2], ARGV[1] .. '|dispatch')
local claimed = number(redis.call('HGET', KEYS[1], 'claimed_ms'))
if claimed > 0 then note_end(KEYS[3], 'orchestrator', claimed, now_ms()) end
return { 'ok' }
