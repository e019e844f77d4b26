-- What a worker holds. Changes nothing.
-- uses: types claims
-- KEYS  1 claims:<worker>
-- ARGV  none
-- Returns  { n, what is stored of it (claims.lua), … }: its batches, the oldest first
local reply = {}
for _, batch in ipairs(batches_of(KEYS[1])) do
  reply[#reply + 1], reply[#reply + 2] = batch[1], batch[2]
end
return reply
