-- Stores the plan of a stage once and appends "routed"; a second dispatcher of the same stage gets the plan of the first.
-- Returns the keys of the sources whose queue cannot serve the run in time, with what is known of each queue.
-- KEYS run events rates wakeups synthesis(2), then for each source that workers are to be asked for: queue(2)
-- ARGV token stage plan sources(their number) to_come awaited routed_data run_id nudge_ms jobs, then for each such
--      source: name key
local stage = tonumber(ARGV[2])
local field = plan_field(stage)
local fields = redis.call('HMGET', KEYS[1], 'state', 'dispatch_token', field, 'fanin_ms', 'planned_ms', 'stage',
  'expected', 'received', 'deadline_ms')
if not fields[1] then return { 'not_found' } end
if fields[1] ~= 'dispatching' or fields[2] ~= ARGV[1] or stage_number(fields[6]) ~= stage then
  return { 'refused', fields[1] }
end
local now = now_ms()
local plan, planned = fields[3] or ARGV[3], fields[3] and fields[5] and number(fields[5]) or now
if not fields[3] then
  local expected = number(fields[7]) + tonumber(ARGV[4])
  redis.call('HSET', KEYS[1], field, ARGV[3], 'expected', string.format('%d', expected), 'planned_ms',
    string.format('%d', now))
  if stage > 1 or ARGV[5] ~= '0' then redis.call('HSET', KEYS[1], 'to_come', ARGV[5], 'awaited', ARGV[6]) end
  if ARGV[10] ~= '' then
    local found = redis.call('HGET', KEYS[1], 'jobs')
    redis.call('HSET', KEYS[1], 'jobs', (found and found .. '\n' or '') .. ARGV[10])
  end
  if stage == 1 or ARGV[4] ~= '0' then emit(KEYS[1], KEYS[2], 'routed', 0, now, ARGV[7]) end
  if stage > 1 and has_every_answer(fields[8], expected, ARGV[5]) then
    -- There is nothing more to ask: as with the last envelope.
    redis.call('ZADD', KEYS[4], 'XX', now + tonumber(ARGV[9]), ARGV[8] .. '|fanin')
    call_body(queue_at(5), KEYS[3], KEYS[1], ARGV[8], deadline(fields[9], now), now)
  end
end
local unserved, fanin = {}, number(fields[4])
if plan == ARGV[3] then
  for i = 11, #ARGV, 2 do
    local queue = queue_at(7 + i - 11)
    local wait, waiting, per_second, ms = backlog(queue, KEYS[3], ARGV[i], 0, now)
    local left = fanin - now
    if wait > 0 and wait > left - math.min(ms, left / 2) then
      unserved[#unserved + 1] = ARGV[i + 1]
      unserved[#unserved + 1] = waiting
      unserved[#unserved + 1] = string.format('%.2g', per_second)
      tally(KEYS[3], ARGV[i], now, 1, 1, 0, 0)
    else
      enqueue(queue, KEYS[3], ARGV[i], ARGV[8], ARGV[i + 1], fanin, planned)
    end
  end
end
return { 'ok', plan, unserved }
