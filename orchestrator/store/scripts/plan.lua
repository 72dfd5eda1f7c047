-- Stores the plan once and appends "routed"; a second dispatcher of the same run gets the plan of the first. Returns the
-- keys of the sources whose queue cannot serve the run in time, with what is known of each queue.
-- KEYS run events rates, then for each source that workers are to be asked for: queue(2)
-- ARGV token plan expected routed_data run_id, then for each such source: name key
local fields = redis.call('HMGET', KEYS[1], 'state', 'dispatch_token', 'plan', 'fanin_ms', 'planned_ms')
if not fields[1] then return { 'not_found' } end
if fields[1] ~= 'dispatching' or fields[2] ~= ARGV[1] then return { 'refused', fields[1] } end
local now = now_ms()
local plan, planned = fields[3] or ARGV[2], fields[5] and number(fields[5]) or now
if not fields[3] then
  redis.call('HSET', KEYS[1], 'plan', ARGV[2], 'expected', ARGV[3], 'planned_ms', string.format('%d', now))
  emit(KEYS[1], KEYS[2], 'routed', 0, now, ARGV[4])
end
local unserved, fanin = {}, number(fields[4])
if plan == ARGV[2] then
  for i = 6, #ARGV, 2 do
    local queue = queue_at(4 + i - 6)
    local wait, waiting, per_second, ms = backlog(queue, KEYS[3], ARGV[i], 0, now)
    local left = fanin - now
    if wait > 0 and wait > left - math.min(ms, left / 2) then
      unserved[#unserved + 1] = ARGV[i + 1]
      unserved[#unserved + 1] = waiting
      unserved[#unserved + 1] = string.format('%.2g', per_second)
    else
      enqueue(queue, ARGV[5], ARGV[i + 1], fanin, planned)
    end
  end
end
return { 'ok', plan, unserved }
