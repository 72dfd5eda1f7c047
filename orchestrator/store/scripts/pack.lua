-- Puts what is packed of a closed run in the place of the rest. What frees memory comes first: a full Redis lets a script
-- write after that.
-- KEYS run events end packed unpacked
-- ARGV run_id packed(empty: it stays as it is) bytes stub, then for each field: name length
redis.pcall('ZREM', KEYS[5], ARGV[1])
local state = redis.call('HGET', KEYS[1], 'state')
if not state then return { 'not_found' } end
if ARGV[2] == '' or not is_closed(state) or redis.call('HEXISTS', KEYS[1], 'packed') == 1 then return { 'refused' } end
for i = 5, #ARGV, 2 do
  if redis.call('HSTRLEN', KEYS[1], ARGV[i]) ~= tonumber(ARGV[i + 1]) then return { 'refused' } end
end
local ttl = redis.call('PTTL', KEYS[1])
redis.call('DEL', KEYS[2], KEYS[3])
local has_report = redis.call('HEXISTS', KEYS[1], 'report') == 1
for i = 5, #ARGV, 2 do redis.call('HDEL', KEYS[1], ARGV[i]) end
-- A small hash takes a third of the memory of one that was large.
local left = redis.call('HGETALL', KEYS[1])
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'packed', ARGV[3], unpack(left))
if has_report then redis.call('HSET', KEYS[1], 'report', ARGV[4]) end
redis.call('SET', KEYS[4], ARGV[2])
if ttl > 0 then
  redis.call('PEXPIRE', KEYS[1], ttl)
  redis.call('PEXPIRE', KEYS[4], ttl)
end
return { 'ok' }
