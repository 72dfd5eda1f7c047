-- Of each queue: messages that wait, tasks that workers hold, age of the oldest message in milliseconds; of the last
-- minute: its milliseconds as far as they are counted, tasks that came, were turned away and ended, milliseconds of these
-- together, and their squares; and the mean milliseconds of a task as last known.
-- KEYS rates, then for each queue: running list list_of_batches
-- ARGV beginning_of_keys_of_runs, then the names of the queues
local now, replies = now_ms(), {}
local slot = math.floor(now / SLOT_MS)
local since = redis.pcall('HGET', KEYS[1], '|since')
since = type(since) == 'string' and number(since) or 0

-- The oldest message is the last of its list. It may be of no use any more, and be of any version.
local function age(list, planned)
  local text = redis.pcall('LINDEX', list, -1)
  local run_id = type(text) == 'string' and string.match(text, '"root_id"%s*:%s*"([%w_-]+)"')
  local times = run_id and redis.pcall('HMGET', ARGV[1] .. run_id, 'created_ms', planned)
  if not times or times.err or not times[1] then return 0 end
  return math.max(0, now - math.max(number(times[1]), number(times[2])))
end

for i = 2, #ARGV do
  local name, key = ARGV[i], 3 * i - 4
  local planned = name == 'orchestrator' and 'accepted_ms' or name == 'synthesis' and 'called_ms' or 'planned_ms'
  local counts, from = { 0, 0, 0, 0, 0 }, math.max((slot - SLOTS + 2) * SLOT_MS, since <= now and since or now)
  for number_of_slot = slot - SLOTS + 2, slot do
    local found = { slot_of(KEYS[1], name, number_of_slot) }
    for j, count in ipairs(found) do counts[j] = counts[j] + count end
  end
  local waiting = count_of(redis.pcall('LLEN', KEYS[key + 1])) + count_of(redis.pcall('LLEN', KEYS[key + 2]))
  replies[i - 1] = { waiting, count_of(redis.pcall('ZCOUNT', KEYS[key], string.format('(%d', now), '+inf')),
    math.max(age(KEYS[key + 1], planned), age(KEYS[key + 2], planned)), now - from, counts[1], counts[2], counts[3],
    counts[4], counts[5], string.format('%.1f', (measured(KEYS[1], name, now))) }
end
return replies
