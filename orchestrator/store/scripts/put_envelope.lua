-- Stores the envelope of a source: the first writer of a key wins, and only until the answers are frozen.
-- KEYS run events wakeups rates synthesis(2) orchestrator(2) running counters
-- ARGV run_id key claim envelope finished_data late_envelope nudge_ms source unclaimed(0|1) counts(0|1)
local fields = redis.call('HMGET', KEYS[1], 'state', 'frozen', 's:' .. ARGV[2], 'e:' .. ARGV[2], 'expected',
  'deadline_ms', 'fanin_ms', 'to_come')
local state = fields[1]
if not state then return { 'not_found' } end
if not fields[3] and ARGV[9] == '1' then
  -- Of a source that is not asked at all.
  fields[3] = ARGV[3] .. '|' .. string.format('%d', now_ms())
  redis.call('HSET', KEYS[1], 's:' .. ARGV[2], fields[3])
end
if not fields[3] or string.sub(fields[3], 1, #ARGV[3] + 1) ~= ARGV[3] .. '|' then return { 'duplicate' } end
if fields[4] then return { 'duplicate' } end
local now, began = now_ms(), number(string.match(fields[3], '|(%d+)$'))
release(KEYS[9], ARGV[1], ARGV[2])
if ARGV[10] == '1' then tally(KEYS[4], ARGV[8], now, 0, 0, 1, now - began) end
if is_closed(state) or fields[2] then
  if redis.call('HSETNX', KEYS[1], 'l:' .. ARGV[2], ARGV[6]) == 1 then
    count_up(KEYS[#KEYS], 'late_answers|' .. string.match(ARGV[8], '^[^\6]*') .. ' 1', now)
  end
  return { 'late' }
end
redis.call('HSET', KEYS[1], 'e:' .. ARGV[2], ARGV[4])
if ARGV[10] == '1' then note_end(KEYS[4], ARGV[8], began, now) end
local received, expected = increase(KEYS[1], 'received'), number(fields[5])
emit(KEYS[1], KEYS[2], 'source_finished', 0, now,
  with_numbers(ARGV[5], string.format('"received":%d,"expected":%d', received, expected)))
local deadline_ms, fanin_ms, to_come = fields[6], fields[7], fields[8]
if begin_next_stage(queue_at(7), KEYS[4], KEYS[1], ARGV[1], fanin_ms, now) then
  -- By the chord's body, or by the watcher where that is lost.
  redis.call('ZADD', KEYS[3], now + tonumber(ARGV[7]), ARGV[1] .. '|dispatch')
elseif has_every_answer(received, expected, to_come) then
  -- The watcher finishes the run soon if the chord does not call its body, as when a worker died before its chord part.
  redis.call('ZADD', KEYS[3], 'XX', now + tonumber(ARGV[7]), ARGV[1] .. '|fanin')
  call_body(queue_at(5), KEYS[4], KEYS[1], ARGV[1], deadline(deadline_ms, now), now)
end
return { 'stored', received, expected }
