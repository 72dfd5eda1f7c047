-- Reads what a client has not yet read of a run: its fields without the report, which is read at the end.
-- KEYS run
-- ARGV names of the fields that it has and that do not change
local MAX_BYTES = 2000000
local known, flat, bytes = {}, {}, 0
for _, name in ipairs(ARGV) do known[name] = true end
for _, name in ipairs(redis.call('HKEYS', KEYS[1])) do
  -- Envelopes beyond the limit come with the next call.
  local is_left = known[name] or name == 'report' or (bytes > MAX_BYTES and string.sub(name, 1, 2) == 'e:')
  if not is_left then
    local value = redis.call('HGET', KEYS[1], name)
    bytes = bytes + #value
    flat[#flat + 1] = name
    flat[#flat + 1] = value
  end
end
if #flat == 0 then return { 'not_found' } end
return { 'ok', now_ms(), flat }
