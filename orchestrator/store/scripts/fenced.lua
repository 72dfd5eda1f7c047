-- A write under the finish lease: renews it and appends events (none for a plain renewal).
-- KEYS run events wakeups synthesis running
-- ARGV run_id token lease_ms serves_queue(0|1), then for each event: kind data
if ARGV[4] == '1' then serve(KEYS[4]) end
local fields = redis.call('HMGET', KEYS[1], 'state', 'lease_token', 'attempt')
if not fields[1] then return { 'not_found' } end
if is_closed(fields[1]) then
  release(KEYS[5], ARGV[1], '')
  return { 'closed' }
end
local now = now_ms()
-- An expired lease may be renewed by its holder while no other finisher has taken it.
if fields[2] ~= ARGV[2] then return { 'refused' } end
local lease_until = now + tonumber(ARGV[3])
redis.call('HSET', KEYS[1], 'lease_until', string.format('%d', lease_until))
if ARGV[4] == '1' then hold(KEYS[5], ARGV[1], '', lease_until, now) end
redis.call('ZADD', KEYS[3], lease_until + 20, ARGV[1] .. '|lease')
for i = 5, #ARGV, 2 do emit(KEYS[1], KEYS[2], ARGV[i], fields[3], now, ARGV[i + 1]) end
return { 'ok' }
