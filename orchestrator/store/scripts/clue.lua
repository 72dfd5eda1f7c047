-- Gives a clue of a source to the other sources of its run, until the answers are frozen; a later one replaces it. That
-- about a job of a batch has a key of its own.
-- KEYS run
-- ARGV key claim clue key_of_clue
local fields = redis.call('HMGET', KEYS[1], 'state', 'frozen', 's:' .. ARGV[1])
local state = fields[1]
if not state then return { 'not_found' } end
if is_closed(state) or fields[2] then return { 'late' } end
if not fields[3] or string.sub(fields[3], 1, #ARGV[2] + 1) ~= ARGV[2] .. '|' then return { 'duplicate' } end
redis.call('HSET', KEYS[1], 'c:' .. ARGV[4], ARGV[3])
return { 'ok' }
