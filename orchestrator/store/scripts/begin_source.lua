-- Claims a source: whether it may start, its request and plan, and the time that remains.
-- KEYS run events rates queue(2) running
-- ARGV key claim started_data source run_id by_worker(0|1) limit_ms(0: none but the fan-in)
local fields = redis.call('HMGET', KEYS[1], 'state', 'frozen', 's:' .. ARGV[1], 'fanin_ms', 'request', 'plan',
  'summary', 'planned_ms', 'stage')
local state = fields[1]
if not state then return { 'not_found' } end
local queue, planned = queue_at(4), number(fields[8])
if is_closed(state) or fields[2] then
  redis.pcall('ZREM', queue.waiting, member(ARGV[5], planned, ARGV[1]))
  return { is_closed(state) and state or 'frozen' }
end
local now = now_ms()
-- "claim|started_ms": the first claim starts the source, a duplicate delivery does not; a repeated claim is the same.
if fields[3] and string.sub(fields[3], 1, #ARGV[2] + 1) ~= ARGV[2] .. '|' then return { 'duplicate' } end
if not fields[3] then
  redis.call('HSET', KEYS[1], 's:' .. ARGV[1], ARGV[2] .. '|' .. string.format('%d', now))
  emit(KEYS[1], KEYS[2], 'source_started', 0, now, ARGV[3])
  -- What comes too late takes its worker no time.
  local fanin, limit = number(fields[4]), tonumber(ARGV[7])
  if now < fanin then
    take(queue, KEYS[3], ARGV[4], ARGV[5], ARGV[1], planned, now, ARGV[6])
    if ARGV[6] == '1' then hold(KEYS[6], ARGV[5], ARGV[1], limit > 0 and math.min(fanin, now + limit) or fanin, now) end
  end
end
local plans = { fields[6] or '' }
for stage = 2, stage_number(fields[9]) do plans[stage] = redis.call('HGET', KEYS[1], plan_field(stage)) or '' end
return { 'ok', fields[5] or '', fields[7] or '', number(fields[4]) - now, now, plans }
