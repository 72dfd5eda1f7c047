-- Takes the finish lease, freezes the answers and returns the whole run.
-- KEYS run events wakeups synthesis rates queue(2) running
-- ARGV run_id token lease_ms started_data serves_queue(0|1)
if ARGV[5] == '1' then serve(KEYS[4]) end
local state = redis.call('HGET', KEYS[1], 'state')
if not state then return { 'not_found' } end
if is_closed(state) then return { 'closed', state } end
local now = now_ms()
local token = redis.call('HGET', KEYS[1], 'lease_token')
local until_ms = number(redis.call('HGET', KEYS[1], 'lease_until'))
if token and token ~= ARGV[2] and until_ms > now then return { 'held' } end
-- A chord that was published twice calls its body as soon as its duplicates have returned: too early.
local all_in = has_every_answer(unpack(redis.call('HMGET', KEYS[1], 'received', 'expected', 'to_come')))
local planned = redis.call('HEXISTS', KEYS[1], 'plan') == 1
if now < number(redis.call('HGET', KEYS[1], 'fanin_ms')) and not (planned and all_in) then
  return { 'incomplete' }
end
local lease_until = now + tonumber(ARGV[3])
if token ~= ARGV[2] then
  local attempt = increase(KEYS[1], 'attempt')
  redis.call('HSET', KEYS[1], 'lease_token', ARGV[2], 'frozen', 1,
    'leased_ms', ARGV[5] == '1' and string.format('%d', now) or 0)
  emit(KEYS[1], KEYS[2], 'synthesis_started', attempt, now, ARGV[4])
  local called = number(redis.call('HGET', KEYS[1], 'called_ms'))
  take(queue_at(6), KEYS[5], 'synthesis', ARGV[1], '', called, now, ARGV[5])
end
redis.call('HSET', KEYS[1], 'lease_until', string.format('%d', lease_until))
if ARGV[5] == '1' then hold(KEYS[8], ARGV[1], '', lease_until, now) end
redis.call('ZREM', KEYS[3], ARGV[1] .. '|fanin', ARGV[1] .. '|dispatch')
redis.call('ZADD', KEYS[3], lease_until + 20, ARGV[1] .. '|lease')
return { 'ok', now, redis.call('HGETALL', KEYS[1]) }
