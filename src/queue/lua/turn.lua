-- One turn of a worker: what it has to settle, to begin and to claim, in one call, in this order. Each of the
-- three may be missing. What they do: settle.lua, begin.lua, claim.lua.
-- uses: clock
-- KEYS  1 jobs  2 results  3 dead  4 dead:entries  5 delayed  6 parked  7 waiting  8 gates  9 accounts
--       10 limits  11 pauses  12 workers  13 stats  14 taken  15 inflight:<worker>  16 claims:<worker>  17 unwell; then
--       per job to settle: order:<account>:<key> (or jobs where there is none); then the same per job to
--       begin; then further results lists; then the bundles (bundle.lua) that may be touched: the one that a claim may
--       make, those that ended, and those with texts of what is to be begun or to be put elsewhere
-- ARGV  1 worker  2 NUMBERS, packed (below)  3 runs  4 version of the limits  5 jitter, 0 to 1  6 per settlement three
--       bytes: its bundle (0: none), where in the bundle's bits it is (fold.lua): in which byte, from 1 on (two bytes), and its bit; then per bundle that begins are of the keys
--       of these (fold.lua), or nothing where they are not in order; then
--       the different limits of the accounts (gate.lua), as the worker knows them; then the different ops of the
--       settlements; then the runs' accounts; then, as begin.lua and settle.lua say, what is to be begun and what
--       is to be settled
--   A run is neighbours of the same account, limits and op or kind. Of each, those to be settled first, `runs` has
--   three bytes: how many they are; which limits (0: none known); which op, or the letter of the kind.
-- Returns  { now ms, next ms, settled, begun, claimed[, "UNFOLDED"] }; the middle three are false where nothing was asked for
--   next     when to claim again: 0 now, -1 nothing is known to come
--   settled, begun, claimed: as settle.lua, begin.lua, claim.lua say
--   UNFOLDED  bundles of the worker's are folded no longer (fold.lua)
-- Out of memory, Redis refuses to begin and to claim, and settles: work that is under way must end.
-- stats has "limits" -> a number that changes with every change of the limits: where the worker's is another,
-- what Redis holds counts.
--
-- What most jobs need is written in one piece, without functions: Redis runs this text from the top at each call, and
-- a function costs as much as a command. What is rare stands in blocks that define theirs when they are needed.
local keys, argv = KEYS, ARGV
-- Numbers, little-endian: how many settlements, runs of them, begins, runs of them, limits, ops, jobs to pop at
-- first (claim.lua); the length of the ledger keys' common beginning ("dray:{q}:order:"); bits: 1 sent again, 2 in
-- doubt (fence.lua), 4 claims, 8 a job dies, 16 the limits of an account are not known, 32 it may be calm (calm.lua),
-- 64 its results and ledger entries went ahead of it: it is calm, or nothing; their columns and keys are left out; then
-- also: 128 what is settled are claims of folded bundles: the column of their tokens is left out, too; 256 what begins are
-- whole folded bundles, all or none of them counted, and their ledger entries went ahead: of their columns and keys there is
-- the first ledger key and the first entry; 512 no account is of two runs;
-- which bundle a claim may make (bundle.lua; 0: none); how many of the begins are of bundles; of how many bundles; of how
-- many the settlements are; turn, answered, highest (fence.lua); the lowest number of a claim
-- to settle or to begin, or of a bundle that ended; how many to claim (0 only gives back what blocking pick-ups took);
-- bytes to claim at most (one job always fits); results high water (0: none); then a byte for each bundle that begins
-- are of, for each that settlements are of, and for each of which all claims have ended
local settle_n, settle_runs, begin_n, begin_runs, limits_n, ops_n, pop_n, prefix_n, bits, bundle, bundled_n, begin_bundles,
  settle_bundles, turn, answered, highest, lowest, claim_n, room_bytes, high_water, bundles_at =
  struct.unpack('<I2I2I2I2I2I2I2I2I2BI2BBddddddd', argv[2])
local ended_at = bundles_at + begin_bundles + settle_bundles
local again, dies, claims = bits % 2 >= 1, bits % 16 >= 8, bits % 8 >= 4
local call, try = redis.call, redis.pcall
local jobs_key, results_key, dead_key, entries_key, delayed_key, parked_key, waiting_key, gates_key, accounts_key,
  limits_key, pauses_key, workers_key, stats_key, taken_key, inflight_key, claims_key, unwell_key = unpack(keys, 1, 17)
local FIXED, LIMITS_AT = 17, 6 + begin_bundles
local OPS = LIMITS_AT + limits_n
local ACCOUNTS = OPS + ops_n
local pushed, ends_folded, begins_folded = bits % 128 >= 64, bits % 256 >= 128, bits % 512 >= 256
local SETTLE_AT = ACCOUNTS + settle_runs + begin_runs + (begins_folded and 1 or 2 * begin_n) -- before the settlements' columns
local runs = argv[3]
local sub, concat = string.sub, table.concat
if bits % 64 >= 32 then
  -- uses: calm
end
if pushed then return { 'AGAIN' } end -- undo.lua is behind it

-- uses: kinds gate
local wrong = wrong_kind({ 'LLEN', false, dies and 'ZCARD', dies and 'HLEN', 'ZCARD', 'HLEN', 'ZCARD', 'ZCARD', false, false,
  'HLEN', false, false, 'LLEN', 'HLEN', 'HLEN', 'SCARD' })
if wrong then return wrong end
local moved = false -- jobs went to `delayed`, `waiting` or `jobs`
local ended = 0     -- claims
local counted = false -- seq or taken have changed
local settled, begun, claimed = false, false, false
local results_length = try('LLEN', results_key)

-- What is read before anything is written needs no look at its type before.
local accounts_n = settle_runs + begin_runs
if accounts_n == 2 and argv[ACCOUNTS + 1] == argv[ACCOUNTS + 2] then accounts_n = 1 end
local states = accounts_n > 0 and try('HMGET', accounts_key, unpack(argv, ACCOUNTS + 1, ACCOUNTS + accounts_n)) or {}
local lease = try('ZSCORE', workers_key, argv[1])
local state = try('HMGET', stats_key, 'seq', 'taken', 'limits', 'turn:' .. argv[1])
local told = accounts_n > 0 and (bits % 32 >= 16 or state[3] ~= argv[4]) -- what Redis holds counts, not what the worker tells
  and try('HMGET', limits_key, unpack(argv, ACCOUNTS + 1, ACCOUNTS + accounts_n))
local failed = states.err and states or state.err and state or told and told.err and told or type(lease) == 'table' and lease
if failed or size[8] > 0 then -- gates of others may be read later on, too
  failed = wrong_kind({ false, false, false, false, false, false, false, false, 'HLEN', 'HLEN', false, failed and 'ZCARD',
    failed and 'HLEN' }) or failed
  if failed then return failed end
end
local alive = lease and tonumber(lease) > now
local seq, taken = tonumber(state[1] or 0), tonumber(state[2] or 0) or 0
if not seq or seq == 0 then
  -- uses: record
  seq = first_number(state[1], size[6])
end
-- uses: fence
local doubt = bits % 4 > 0 or turn <= last_turn or lowest <= sure
local claims_in_doubt
if doubt then
  -- uses: doubt
  claims_in_doubt = claims_known
end

if accounts_n == 1 and settle_runs + begin_runs == 2 then
  states[2] = states[1]
  if told then told[2] = told[1] end
end
-- Most runs do without their account's gate: settlements that teach nothing, and begins of accounts of which nothing
-- is stored and that have no limits.
local gate_at -- gate_run.lua's, once one is looked at
local run_limits = {} -- those that the worker told
for i = 1, told and 0 or limits_n do
  local text = argv[LIMITS_AT + i]
  if byte(text) == 1 then
    local _, rate, _, conc = struct.unpack('<bddd', text)
    run_limits[i] = { rate = rate, conc = conc, ledger_ttl = sub(text, 58) }
  end
end

-- The first write is one that is refused when Redis is full: then `full` is what it said. Where it may not be
-- written to at all (a replica, …), that is the answer to everything. Of a worker that is not known (it was recovered)
-- nothing is kept: nobody would take it away.
local full
if claims or settle_n + begin_n > 0 then
  local written = try('HSET', stats_key, lease and 'turn:' .. argv[1] or 'seq', lease and fence or ms(seq))
  full = type(written) == 'table' and written.err
  if full then
    if not string.find(full, 'OOM ', 1, true) then return written end
    call('HDEL', claims_key, '') -- which may always be done, and then so may the rest
    call('HSET', stats_key, lease and 'turn:' .. argv[1] or 'seq', lease and fence or ms(seq))
  end
end

local unfolded -- "UNFOLDED", where claims were folded until now
if size[15] > 0 then
  -- uses: fold
  unfolded = unfold(inflight_key, claims_key) and 'UNFOLDED' or nil
end

if settle_n > 0 then
  -- uses: settle
end
if ended_at <= #argv[2] and not doubt then
  -- uses: bundles_ended
end

if begin_n > 0 then
  if not alive then
    begun = { string.rep('L', begin_n) }
  elseif full then
    begun = { '', full }
  else
    -- uses: begin
  end
end

if moved or size[8] > 0 then
  -- uses: gate_own passage
  gates_schedule(gates_key)
end

if claims then
  if not alive then
    claimed = { 'LOST' }
  elseif full then
    claimed = { 'REFUSED', full }
  else
    -- uses: claim
  end
end

if gates_dirty then
  -- uses: gate_save
  gates_save(accounts_key, unwell_key, size[17])
end
if counted then call('HSET', stats_key, 'seq', ms(seq), 'taken', ms(taken)) end
local next = '-1'
if (claims and claim_n == 0) or (claimed and (claimed[1] == 'PAUSED' or claimed[1] == 'FULL')) then
  next = ms(now + 1000) -- nothing may be claimed, and nobody tells when that is over
elseif moved or size[5] > 0 or size[8] > 0 then
  -- uses: look
  next = look_again(delayed_key, gates_key)
end
return { ms(now), next, settled, begun, claimed, unfolded }
