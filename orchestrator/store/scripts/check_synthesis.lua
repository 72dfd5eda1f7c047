-- What a due wake-up of kind fanin or lease asks for, and when the wake-up is due again: of a run that is to be
-- finished, the caller's claim says that.
-- KEYS run wakeups synthesis rates queue(2)
-- ARGV run_id kind nudge_ms body_ms model_ms
local fields = redis.call('HMGET', KEYS[1], 'state', 'deadline_ms', 'received', 'expected', 'nudged_' .. ARGV[2],
  'to_come', 'stage')
if not fields[1] then return { 'not_found' } end
if is_closed(fields[1]) then return { 'closed' } end
local now = now_ms()
local left = deadline(fields[2], now) - now
local member, body_ms, model_ms = ARGV[1] .. '|' .. ARGV[2], tonumber(ARGV[4]), tonumber(ARGV[5])
-- Between two stages there are answers.
local is_unasked = fields[1] == 'accepted' and stage_number(fields[7]) == 1
-- No source was asked, and after the fan-in none is: there is nothing to wait for.
if is_unasked and ARGV[2] == 'fanin' and left > 0 then return { 'finish' } end
-- The total deadline finishes the run.
if is_unasked or left <= 0 then
  redis.call('ZADD', KEYS[2], 'XX', now + body_ms, member)
  return { 'wait' }
end
if not fields[5] then
  redis.call('HSET', KEYS[1], 'nudged_' .. ARGV[2], 1)
  -- Once every source is in, the chord has called its body, which had nudge_ms to start.
  local was_called = ARGV[2] == 'fanin' and has_every_answer(fields[3], fields[4], fields[6])
  if not was_called then call_body(queue_at(5), KEYS[4], KEYS[1], ARGV[1], deadline(fields[2], now), now) end
  redis.call('ZADD', KEYS[2], 'XX', now + body_ms - (was_called and tonumber(ARGV[3]) or 0), member)
  return { 'publish' }
end
-- Waiting for a model is of no use if the runs before this one take all the time.
local wait = backlog(queue_at(5), KEYS[4], 'synthesis', 0, now, deadline(fields[2], now))
if redis.call('PTTL', KEYS[3]) > 0 and left - wait > model_ms then
  redis.call('ZADD', KEYS[2], 'XX', now + math.min(body_ms, left - model_ms), member)
  return { 'busy' }
end
return { 'finish' }
