-- Renames the keys that hold something of another type than ours; returns each with what it held.
-- KEYS any
-- ARGV their types
local found = {}
for i, key in ipairs(KEYS) do
  local kind = redis.call('TYPE', key)['ok']
  if kind ~= ARGV[i] and kind ~= 'none' then
    set_foreign_aside(ARGV[i], key)
    found[#found + 1] = key
    found[#found + 1] = kind
  end
end
return found
