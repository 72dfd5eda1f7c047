-- Marks the chord as published, so that the run is not published again.
-- KEYS run wakeups rates running
-- ARGV run_id token
local state = redis.call('HGET', KEYS[1], 'state')
if not state then return { 'not_found' } end
if redis.call('HGET', KEYS[1], 'dispatch_token') ~= ARGV[2] then return { 'refused', state } end
release(KEYS[4], ARGV[1], '')
if state ~= 'dispatching' then return { 'refused', state } end
redis.call('HSET', KEYS[1], 'state', 'dispatched')
redis.call('ZREM', KEYS[2], ARGV[1] .. '|dispatch')
local claimed, now = number(redis.call('HGET', KEYS[1], 'claimed_ms')), now_ms()
if claimed > 0 then
  note_end(KEYS[3], 'orchestrator', claimed, now)
  tally(KEYS[3], 'orchestrator', now, 0, 0, 1, now - claimed)
end
return { 'ok' }
