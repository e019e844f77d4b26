-- Bundles: jobs that were claimed many at a time (calm.lua); shared by the scripts that say "-- uses: bundle".
-- KEYS, ARGV, what it returns: those of the script that uses it.
-- bundle:<worker>:<n>  LIST (n from 1 to 255): the texts of a claim, that of the first number first. inflight:<worker>
--   has of these claims, whose tokens end with b, "<n>:<first number>" instead of the text; or one entry of all (fold.lua).
-- So their texts need not pass through Lua, which costs Redis more than anything else it does for them. Texts stay
-- until the worker says that all claims of the bundle have ended; it uses no n again before. A bundle that is there
-- is never written to, so a worker that is wrong about n is only slower.

local function bundle_key(jobs, worker, n)
  return string.sub(jobs, 1, -5) .. 'bundle:' .. worker .. ':' .. n
end

-- The text of a claim, given what inflight:<worker> has of it.
local function bundle_text(jobs, worker, token, stored)
  local n, first = string.match(stored, '^(%d+):(%d+)$')
  return call('LINDEX', bundle_key(jobs, worker, n), tonumber(string.match(token, '^%d+')) - first) or ''
end

-- A worker that holds nothing has no bundles.
local function bundles_drop(jobs, worker)
  local all = {}
  for n = 1, 255 do all[n] = bundle_key(jobs, worker, n) end
  call('DEL', unpack(all))
end
