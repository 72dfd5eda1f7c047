-- Closes the run with its report: under the lease, or at the deadline by any caller, which revokes the lease.
-- KEYS run events wakeups open completed expired end rates running(of the synthesis queue) unpacked old_reader index
--      leaving counters
-- ARGV run_id token report outcome final_data committed_by seen_received margin_ms counts,
--      then for each event to append before the final one: kind data
local fields = redis.call('HMGET', KEYS[1], 'state', 'lease_token', 'received', 'deadline_ms', 'attempt', 'commit_token',
  'dropped', 'leased_ms', 'expected')
if not fields[1] then return { 'not_found' } end
if is_closed(fields[1]) then
  -- The same commit, repeated after a lost reply.
  if fields[6] == ARGV[2] then return { 'ok' } end
  return { 'closed', fields[1] }
end
local now = now_ms()
if fields[2] ~= ARGV[2] then
  if now < deadline(fields[4], now) - tonumber(ARGV[8]) then return { 'refused' } end
  -- The caller read the run without the lease: an envelope that came in since must not be lost, whether or not another
  -- finisher has frozen the answers with it meanwhile.
  if ARGV[7] ~= '' and number(fields[3]) ~= tonumber(ARGV[7]) then return { 'stale' } end
end
redis.call('HSET', KEYS[1], 'state', 'done', 'outcome', ARGV[4], 'report', ARGV[3], 'committed_by', ARGV[6],
  'commit_token', ARGV[2], 'frozen', 1, 'closed_ms', string.format('%d', now))
for i = 10, #ARGV, 2 do emit(KEYS[1], KEYS[2], ARGV[i], fields[5], now, ARGV[i + 1]) end
emit(KEYS[1], KEYS[2], 'final', fields[5], now, with_numbers(ARGV[5], string.format('"dropped_events":%d', number(fields[7]))))
announce_end(KEYS[1], KEYS[7], 'final')
disarm_all(KEYS[3], ARGV[1])
redis.pcall('ZREM', KEYS[4], ARGV[1])
-- By the worker that has the lease; another one finds out when it renews its own.
local leased = number(fields[8])
if leased > 0 and fields[2] == ARGV[2] then
  release(KEYS[9], ARGV[1], '')
  tally(KEYS[8], 'synthesis', now, 0, 0, 1, now - leased)
end
local recent = ARGV[4] == 'timed_out' and KEYS[6] or KEYS[5]
redis.pcall('ZREMRANGEBYSCORE', recent, '-inf', now - 10000)
redis.pcall('ZADD', recent, now, ARGV[1])
redis.pcall('EXPIRE', recent, 60)
settle(KEYS[1], KEYS[2], KEYS[7], 10, ARGV[1], ARGV[4], now)
local counts = ARGV[9]
if number(fields[3]) < number(fields[9]) then counts = counts .. ' deadline_hits|fan_in 1' end
if fields[2] ~= ARGV[2] then counts = counts .. ' deadline_hits|total 1' end
count_up(KEYS[#KEYS], counts, now)
return { 'ok' }
