-- One turn of a worker: what it has to settle, to begin and to claim, in one call, in this order. Each of the
-- three may be missing. What they do: settle.lua, begin.lua, claim.lua.
-- uses: kinds clock gate
-- KEYS  1 jobs  2 results  3 dead  4 dead:entries  5 delayed  6 parked  7 waiting  8 gates  9 accounts
--       10 limits  11 pauses  12 workers  13 stats  14 taken  15 inflight:<worker>  16 claims:<worker>; then
--       per job to begin: order:<account>:<key>; then the same per job to settle (or jobs where there is
--       none); then further results lists
-- ARGV  1 worker  2 length of the ledger keys' common beginning ("dray:{q}:order:")
--       3 jobs to begin  4 their runs  5 jobs to settle  6 their runs  7 jitter, 0 to 1  8 "1" if these
--       settlements are sent again  9 how many to claim: "" none; 0 only gives back what blocking pick-ups
--       took  10 bytes to claim at most (one job always fits)  11 results high water (0: none); then to begin
--       and to settle as begin.lua and settle.lua say. A run is neighbours that share something, which is said once.
-- Returns  { now ms, next ms, settled, begun, claimed }; the last three are false where nothing was asked for
--   next     when to claim again: 0 now, -1 nothing is known to come
--   settled, begun, claimed: as settle.lua, begin.lua, claim.lua say
-- Out of memory, Redis refuses to begin and to claim, and settles: work that is under way must end.
local wrong = wrong_kind({ 'list', false, 'zset', 'hash', 'zset', 'hash', 'zset', 'zset', 'hash', 'hash', 'hash', 'zset',
  'hash', 'list', 'hash', 'hash' })
if wrong then return wrong end
local FIXED, HEAD = 16, 11
local keys, argv = KEYS, ARGV
local jobs_key, results_key, dead_key, entries_key, delayed_key, parked_key, waiting_key, gates_key, accounts_key,
  limits_key, pauses_key, workers_key, stats_key, taken_key, inflight_key, claims_key = unpack(keys, 1, FIXED)
local sub, concat = string.sub, table.concat
local to_begin, begin_runs, to_settle, settle_runs = tonumber(argv[3]), tonumber(argv[4]), tonumber(argv[5]), tonumber(argv[6])
local to_claim = tonumber(argv[9])
local SETTLE_AT = HEAD + 2 * begin_runs + 2 * to_begin -- before the settlements' arguments
local moved = false -- jobs went to `delayed`, `waiting` or `jobs`
local ended = 0     -- claims
local settled, begun, claimed = false, false, false

-- The accounts of all jobs are read at once. settle_names: of each run of settlements, "" where it is not known.
local settle_names, begin_names, names = {}, {}, {}
for r = 1, settle_runs do
  local what = argv[SETTLE_AT + r]
  local name = sub(what, 1, string.find(what, ' ', 1, true) - 1)
  settle_names[r], names[r] = name, name
end
for r = 1, begin_runs do
  local name = sub(argv[HEAD + r], 2)
  begin_names[r], names[settle_runs + r] = name, name
end
if #names > 0 then gates_fetch(accounts_key, limits_key, names) end

-- A write that changes nothing, but is refused when Redis is full: then `full` is what it said. Where it may not
-- be written to at all (a replica, …), that is the answer to everything.
local full
if to_begin > 0 or (to_claim and to_claim > 0) then
  local probe = try('ZADD', gates_key, 'XX', 0, '')
  full = type(probe) == 'table' and probe.err
  if full and not string.find(full, 'OOM ', 1, true) then return probe end
end

if to_settle > 0 then
  -- uses: settle
  settled = settle_all()
end

local alive = false
if to_begin > 0 or to_claim then
  local lease = call('ZSCORE', workers_key, argv[1])
  alive = lease and tonumber(lease) > now
end

if to_begin > 0 then
  if not alive then
    begun = { string.rep('L', to_begin) }
  elseif full then
    begun = { '', full }
  else
    -- uses: passage admission begin
    begun = begin_all()
  end
end

if moved or size[8] > 0 then
  -- uses: passage
  gates_schedule(gates_key)
end

if to_claim then
  if not alive then
    claimed = { 'LOST' }
  elseif full then
    claimed = { 'REFUSED', full }
  else
    -- uses: record claim
    claimed = claim_up_to(to_claim)
  end
end

if to_settle > 0 or not full then gates_save(accounts_key) end
local next = '-1'
if to_claim == 0 or (claimed and (claimed[1] == 'PAUSED' or claimed[1] == 'FULL')) then
  next = ms(now + 1000) -- nothing may be claimed, and nobody tells when that is over
elseif moved or size[5] > 0 or size[8] > 0 then
  -- uses: look
  next = look_again(delayed_key, gates_key)
end
return { ms(now), next, settled, begun, claimed }
