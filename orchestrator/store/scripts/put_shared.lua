-- Keeps an answer for other runs, or lets another ask when there is none; of the caller that was to ask only,
-- or of one without a token, which replaces what is there.
-- KEYS answer
-- ARGV token value(empty: none) keep_ms
if ARGV[1] ~= '' and redis.pcall('GET', KEYS[1]) ~= ARGV[1] then return { 'refused' } end
if ARGV[2] == '' then redis.call('DEL', KEYS[1]) else redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) end
return { 'ok' }
