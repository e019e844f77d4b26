-- What there is of a worker's claims, where that is in doubt (fence.lua). A part of turn.lua ("-- uses: doubt").
-- KEYS, ARGV  turn.lua's
-- Returns  per token, from argv[at + 1] on: what claims:<worker> has of it, "" if it never began, false if it is gone

local function claims_known(at, n)
  local known = call('HMGET', claims_key, unpack(argv, at + 1, at + n))
  for i = 1, n do
    if not known[i] and call('HEXISTS', inflight_key, argv[at + i]) == 1 then known[i] = '' end
  end
  return known
end
