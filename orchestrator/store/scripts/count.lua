-- Adds 1 to a counter of the run; an expired run must not come back without a time to live.
-- KEYS run
-- ARGV what
if redis.call('EXISTS', KEYS[1]) == 0 then return { 'not_found' } end
return { 'ok', increase(KEYS[1], ARGV[1]) }
