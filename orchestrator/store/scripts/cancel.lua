-- Cancels an open run; its tasks find out at their next call.
-- KEYS run events wakeups open end unpacked old_reader index leaving counters
-- ARGV run_id cancelled_data
local fields = redis.call('HMGET', KEYS[1], 'state', 'attempt', 'dropped')
if not fields[1] then return { 'not_found' } end
if is_closed(fields[1]) then return { 'closed', fields[1] } end
local now = now_ms()
redis.call('HSET', KEYS[1], 'state', 'cancelled', 'outcome', 'cancelled', 'frozen', 1,
  'closed_ms', string.format('%d', now))
emit(KEYS[1], KEYS[2], 'cancelled', fields[2], now,
  with_numbers(ARGV[2], string.format('"dropped_events":%d', number(fields[3]))))
announce_end(KEYS[1], KEYS[5], 'cancelled')
disarm_all(KEYS[3], ARGV[1])
redis.pcall('ZREM', KEYS[4], ARGV[1])
settle(KEYS[1], KEYS[2], KEYS[5], 6, ARGV[1], 'cancelled', now)
count_up(KEYS[#KEYS], 'runs_ended|cancelled|caller 1', now)
return { 'ok' }
