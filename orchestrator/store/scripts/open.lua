-- Opens a run: hash, wake-ups, idempotency key and the event "accepted", or nothing at all.
-- KEYS run events wakeups index open completed expired instances idempotency owners_idempotency owners_index session rates
--      leaving orchestrator(2), then for each source that may be asked: queue(2); then counters
-- ARGV run_id nonce request total_ms fanin_ms ttl_s max_open overload_floor dispatch_ms margin_ms instance summary
--      accepted_data event_limit idempotent(0|1) session_runs(0: no session) min_sources longest_ttl_s ttls traceparent
--      owner(empty: nobody), then the names of the sources
local run_id, nonce = ARGV[1], ARGV[2]
local total, fanin, ttl, longest = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[18])
local now = now_ms()

local function overloaded(cause, queue, ...)
  count_up(KEYS[#KEYS], string.format('submits_refused|%s|%s 1', cause, queue), now)
  return { 'overloaded', ... }
end

local function refused(queue, waiting, per_second, excess_ms)
  -- After the time to the fan-in nothing of what waits now is of use.
  return overloaded('queue', queue, waiting, 'queue', math.max(1, math.ceil(math.min(excess_ms, fanin) / 1000)), queue,
    string.format('%.2g', per_second))
end

set_foreign_aside('zset', KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7], KEYS[8])
set_foreign_aside('string', KEYS[9], KEYS[10])

-- A run that stands for the key, or has the id, is the answer where its question is the same; its caller compares them,
-- as another version may have written it. A key that stands for a run of somebody else says nothing: the second one, of
-- this owner alone, is in its place. Older versions name no owner.
local owner, own_key = ARGV[21], KEYS[9]
if ARGV[15] == '1' then
  for i = 9, 10 do
    local known = redis.call('GET', KEYS[i])
    local run = known and known ~= run_id and string.sub(KEYS[1], 1, -#run_id - 1) .. known
    -- The key of a run that is gone stands for nothing.
    if run and redis.call('TYPE', run)['ok'] == 'hash' then
      local theirs = redis.call('HGET', run, 'owner')
      if not theirs or theirs == owner then
        return { 'keyed', known, redis.call('HGET', run, 'request') or '', redis.call('HGET', run, 'summary') or '' }
      end
      own_key = KEYS[10]
    end
  end
end
if redis.call('EXISTS', KEYS[1]) == 1 then
  -- A submit that is repeated after a lost reply has the same nonce.
  if redis.call('HGET', KEYS[1], 'nonce') == nonce then return { 'accepted', run_id } end
  local request = redis.call('HGET', KEYS[1], 'request')
  if ARGV[15] == '1' and request == ARGV[3] then
    redis.call('HSETNX', KEYS[1], 'idempotency', own_key)
    redis.call('SET', own_key, run_id, 'PX', math.max(1, redis.call('PTTL', KEYS[1])))
  end
  return { 'exists', run_id, request or '', redis.call('HGET', KEYS[1], 'summary') or '' }
end

if ARGV[11] ~= '' then
  -- Workers announce the instances; announcements that none has renewed recently do not count.
  local known = redis.call('ZRANGEBYSCORE', KEYS[8], now - 120000, '+inf')
  local is_known = #known == 0
  for _, name in ipairs(known) do is_known = is_known or name == ARGV[11] end
  if not is_known then return { 'unknown_instance', table.concat(known, ', ') } end
end

-- Runs without worker, watcher or reader are no load after their deadline. They are removed only after the first write
-- below: once a script has freed memory, a full Redis does not stop it any more.
local open = redis.call('ZCOUNT', KEYS[5], now - 60000, now + 86400000)
if open >= tonumber(ARGV[7]) then return overloaded('open_runs', '', open) end
if open >= tonumber(ARGV[8]) then
  if redis.call('ZCOUNT', KEYS[7], now - 10000, now) >= 8 and redis.call('ZCOUNT', KEYS[6], now - 10000, now) == 0 then
    return overloaded('stuck', '', open, 'stuck', 10)
  end
end
local orchestrator = queue_at(15)
local dispatch_ms, undispatched, rate, _, age, is_back = backlog(orchestrator, KEYS[13], 'orchestrator', 0, now)
local most_ms = fanin / 2
if not is_back then
  -- What has been dispatched takes the time of processors, by which dispatching gets slower than it was: as long as the
  -- first has waited, again, is the least; but no more than twice as long as it was, of a queue that gets shorter. What
  -- has waited while the workers were away says nothing of that.
  dispatch_ms, most_ms = math.max(dispatch_ms, 2 * math.min(age, dispatch_ms)), fanin / 3
end
-- The rest of the time is that of the sources.
if dispatch_ms > most_ms then return refused('orchestrator', undispatched, rate, dispatch_ms - most_ms) end
-- The plan is not known yet: the run may ask any source, and so may those that are not dispatched yet.
local served, soonest = 0, nil
for i = 22, #ARGV do
  local wait, waiting, per_second, ms = backlog(queue_at(17 + (i - 22) * 2), KEYS[13], ARGV[i], undispatched, now)
  local excess = math.max(wait, dispatch_ms) - 0.8 * (fanin - math.min(ms, fanin / 2))
  if excess <= 0 or wait == 0 then
    served = served + 1
  elseif not soonest or excess < soonest[4] then
    soonest = { ARGV[i], waiting + undispatched, per_second, excess }
  end
end
if soonest and served < math.min(math.max(1, tonumber(ARGV[17])), #ARGV - 21) then
  return refused(soonest[1], soonest[2], soonest[3], soonest[4])
end

redis.call('HSET', KEYS[1], 'state', 'accepted', 'nonce', nonce, 'owner', owner, 'request', ARGV[3], 'summary', ARGV[12],
  'created_ms', string.format('%d', now), 'deadline_ms', string.format('%d', now + total),
  'fanin_ms', string.format('%d', now + fanin), 'received', 0, 'expected', 0, 'dropped', 0,
  'event_limit', ARGV[14], 'attempt', 0, 'reads_packed', 1, 'ttls', ARGV[19])
if ARGV[20] ~= '' then redis.call('HSET', KEYS[1], 'traceparent', ARGV[20]) end
redis.call('EXPIRE', KEYS[1], ttl)
emit(KEYS[1], KEYS[2], 'accepted', 0, now, with_numbers(ARGV[13], string.format('"deadline_ms":%d', now + total)))
-- Wake-ups of expired runs are removed.
redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', now - ttl * 1000)
redis.call('ZADD', KEYS[3], now + tonumber(ARGV[9]), run_id .. '|dispatch',
  now + fanin + 50, run_id .. '|fanin', now + total - tonumber(ARGV[10]), run_id .. '|total')
redis.call('ZREMRANGEBYSCORE', KEYS[4], '-inf', now - longest * 1000)
redis.call('ZADD', KEYS[4], now, run_id)
redis.call('EXPIRE', KEYS[4], longest)
-- An id that is used again must not leave with the run that had it.
redis.pcall('ZREM', KEYS[14], run_id)
leave(KEYS[4], KEYS[14], now)
redis.call('ZREMRANGEBYSCORE', KEYS[5], '-inf', now - 60000)
redis.call('ZADD', KEYS[5], now + total, run_id)
if ARGV[15] == '1' then
  redis.call('SET', own_key, run_id, 'EX', ttl)
  redis.call('HSET', KEYS[1], 'idempotency', own_key)
end
if owner ~= '' then
  set_foreign_aside('zset', KEYS[11])
  redis.call('ZREMRANGEBYSCORE', KEYS[11], '-inf', now - longest * 1000)
  redis.call('ZADD', KEYS[11], now, run_id)
  redis.call('EXPIRE', KEYS[11], longest)
end
enqueue(orchestrator, KEYS[13], 'orchestrator', run_id, '', now + fanin, now)
local session_runs = tonumber(ARGV[16])
if session_runs > 0 then
  set_foreign_aside('list', KEYS[12])
  redis.call('RPUSH', KEYS[12], run_id)
  redis.call('LTRIM', KEYS[12], -session_runs, -1)
  redis.call('EXPIRE', KEYS[12], longest)
end
count_up(KEYS[#KEYS], 'runs_accepted 1', now)
return { 'accepted', run_id }
