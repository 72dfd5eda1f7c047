-- Takes the dispatch lease: the holder routes, plans and publishes the chord (or runs the sources in process).
-- KEYS run wakeups rates orchestrator(2) running
-- ARGV run_id token lease_ms by_worker(0|1) stage(to renew the lease of: '' for whichever is to be dispatched)
local state = redis.call('HGET', KEYS[1], 'state')
if not state then return { 'not_found' } end
local now = now_ms()
local token = redis.call('HGET', KEYS[1], 'dispatch_token')
local until_ms = number(redis.call('HGET', KEYS[1], 'dispatch_until'))
local held = state == 'dispatching' and until_ms > now and token ~= ARGV[2]
if state == 'dispatched' and ARGV[5] == '' and redis.call('HEXISTS', KEYS[1], 'frozen') == 0 then
  -- The worker whose source ended the stage may be of a version without stages.
  local fanin_ms = redis.call('HGET', KEYS[1], 'fanin_ms')
  if begin_next_stage(queue_at(4), KEYS[3], KEYS[1], ARGV[1], fanin_ms, now) then state = 'accepted' end
end
if is_closed(state) or state == 'dispatched' or held then return { 'refused', state } end
local stage = stage_number(redis.call('HGET', KEYS[1], 'stage'))
-- A dispatcher that is so slow that the stage is over must not take the next one.
if ARGV[5] ~= '' and tonumber(ARGV[5]) ~= stage then return { 'refused', 'over' } end
if redis.call('HGET', KEYS[1], 'frozen') then return { 'refused', 'frozen' } end
local since = stage > 1 and 'accepted_ms' or 'created_ms'
local accepted, fanin = number(redis.call('HGET', KEYS[1], since)), number(redis.call('HGET', KEYS[1], 'fanin_ms'))
local takes_ms = math.min(measured(KEYS[3], 'orchestrator', now), (fanin - accepted) / 4)
if ARGV[4] == '1' and fanin > 0 and now + takes_ms >= fanin then
  -- No source could be asked in time any more. Time for this run would be taken from those that can be answered.
  redis.pcall('ZREM', KEYS[4], member(ARGV[1], accepted, ''))
  return { 'refused', 'late' }
end
local lease_until = now + tonumber(ARGV[3])
redis.call('HSET', KEYS[1], 'state', 'dispatching', 'dispatch_token', ARGV[2],
  'dispatch_until', string.format('%d', lease_until))
if token ~= ARGV[2] then
  redis.call('HSET', KEYS[1], 'claimed_ms', ARGV[4] == '1' and string.format('%d', now) or 0)
end
redis.call('ZADD', KEYS[2], lease_until, ARGV[1] .. '|dispatch')
take(queue_at(4), KEYS[3], 'orchestrator', ARGV[1], '', accepted, now, ARGV[4])
if ARGV[4] == '1' then hold(KEYS[6], ARGV[1], '', lease_until, now) end
return { 'ok', redis.call('HGET', KEYS[1], 'request') or '', redis.call('HGET', KEYS[1], 'summary') or '',
  stage, redis.call('HGET', KEYS[1], plan_field(stage)) or '' }
