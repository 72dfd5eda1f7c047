-- Reads the stored report and the envelopes that it is put together with; of a packed run it says that in their place.
-- KEYS run
local fields = redis.call('HGETALL', KEYS[1])
local state, report, envelopes, packed = nil, '', {}, nil
for i = 1, #fields, 2 do
  if fields[i] == 'state' then state = fields[i + 1] end
  if fields[i] == 'packed' then packed = fields[i + 1] end
  if fields[i] == 'report' then report = fields[i + 1] end
  if string.sub(fields[i], 1, 2) == 'e:' then
    envelopes[#envelopes + 1] = fields[i]
    envelopes[#envelopes + 1] = fields[i + 1]
  end
end
if not state then return { 'not_found' } end
return { 'ok', report, envelopes, packed }
