-- One turn of a worker: what it has to settle, to begin and to claim, in one call, in this order. Each of the three may be
-- missing. What they do stands in settle.lua, begin.lua, claim.lua and pick.lua.
-- uses: kinds clock gate
-- KEYS  1 jobs  2 results  3 dead  4 dead:entries  5 delayed  6 parked  7 waiting  8 gates  9 accounts
--       10 limits  11 pauses  12 workers  13 stats  14 taken  15 inflight:<worker>  16 claims:<worker>; then
--       per job to settle: order:<account>:<key> (or jobs where there is none); then the same per job to
--       begin; then further results lists
-- ARGV  1 worker  2 NUMBERS, packed (turn_call.lua)  3 runs  4 version of the limits  5 jitter, 0 to 1  6 the text that a blocking
--       pick-up gave, or "" (pick.lua); then the different limits of the accounts (gate.lua), as the worker knows them; then
--       the different ops of the settlements; then the runs' accounts; then, as begin.lua and settle.lua say, what is to be
--       begun and what is to be settled
--   A run is neighbours of the same account, limits and op or kind. Of each, those to be settled first, `runs` has
--   three bytes: how many they are; which limits (0: none known); which op, or the letter of the kind.
-- Returns  { now ms, next ms, settled, begun, claimed }; the last three are false where nothing was asked for
--   next     when to claim again: 0 now, -1 nothing is known to come
--   settled, begun, claimed: as settle.lua, begin.lua, claim.lua and pick.lua say
-- Out of memory, Redis refuses to begin and to claim, and settles: work that is under way must end.
-- stats has "limits" -> a number that changes with every change of the limits: where the worker's is another,
-- what Redis holds counts.
--
-- Redis runs this text from the top at each call, and a function that is defined costs about as much as a command. So what
-- is rare stands in blocks that take its functions in when they are needed.

-- uses: turn_call

-- What waits, is delayed, paused or picked up: mostly nothing is, which one command says.
local some = call('EXISTS', delayed_key, parked_key, waiting_key, gates_key, pauses_key, taken_key) > 0
local wrong = wrong_kind({ 'LLEN', false, dies and 'ZCARD', dies and 'HLEN', some and 'ZCARD', some and 'HLEN',
  some and 'ZCARD', some and 'ZCARD', some and 'HLEN', some and 'HLEN', some and 'HLEN', false, false, some and 'LLEN',
  'HLEN', 'HLEN' })
if wrong then return wrong end
local moved = false   -- jobs went to `delayed`, `waiting` or `jobs`
local counts = {}     -- counters of stats -> by how much they change
local settled, begun, claimed = false, false, false
local unread = try('LLEN', results_key) -- an error where it is no list

-- What is read before anything is written needs no look at its type before: an error says it.
local state = try('HMGET', stats_key, 'seq', 'taken', 'limits', 'turn:' .. argv[1])
local lease = try('ZSCORE', workers_key, argv[1])
local states, told = {}, false -- the gates of the runs' accounts, as they are stored; their limits, where Redis's count
if settle_runs + begin_runs > 0 then
  states = try('HMGET', accounts_key, unpack(argv, ACCOUNTS + 1, ACCOUNTS + settle_runs + begin_runs))
  if bits % 32 >= 16 or state[3] ~= argv[4] then
    told = try('HMGET', limits_key, unpack(argv, ACCOUNTS + 1, ACCOUNTS + settle_runs + begin_runs))
  end
end
if state.err or states.err or (told and told.err) or type(lease) == 'table' then
  return wrong_kind({ false, false, false, false, false, false, false, false, 'HLEN', 'HLEN', false, 'ZCARD', 'HLEN' })
end
local alive = lease and tonumber(lease) > now
local seq, taken = tonumber(state[1] or 0), tonumber(state[2] or 0) or 0
if not seq or seq == 0 then
  -- uses: record
  seq = first_number(state[1], size[6])
end
local seq_was, taken_was = seq, taken
-- uses: fence

-- The gate of a run's account; nil where the account is not known.
local function gate_of_run(r, account)
  local g = gates[account]
  if not g and account ~= '' then
    local text
    if told then text = told[r] else text = argv[LIMITS_AT + byte(runs, 3 * r - 1)] end
    g = gate_of(states[r], limits_of(text))
    gates[account] = g
  end
  return g
end

-- The first write is one that is refused when Redis is full: then `full` is what it said. Where it may not be
-- written to at all (a replica, …), that is the answer to everything. Of a worker that is not known (it was recovered)
-- nothing is kept: nobody would take it away.
local field, value = lease and 'turn:' .. argv[1] or 'seq', lease and fence or ms(seq)
local written = try('HSET', stats_key, field, value)
local full = type(written) == 'table' and written.err
if full then
  if not string.find(full, 'OOM ', 1, true) then return written end
  pass_without_memory(claims_key)
  call('HSET', stats_key, field, value)
end

if settle_n > 0 then
  -- uses: settle
end

local picked -- the token of the job that a blocking pick-up gave, once it is claimed
if argv[6] ~= '' then
  -- uses: pick
end

if begin_n > 0 then
  if alive and full then
    begun = { '', full }
  elseif not alive or (argv[6] ~= '' and not picked) then
    begun = { string.rep('L', begin_n) }
  else
    -- uses: begin
  end
end

if moved or size[8] > 0 then
  -- uses: passage
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

gates_save(accounts_key)
-- The counters, at once.
local names, values = {}, { 'seq', ms(seq), 'taken', ms(taken) }
for name in pairs(counts) do names[#names + 1] = name end
if #names > 0 then
  for i, was in ipairs(call('HMGET', stats_key, unpack(names))) do
    values[2 * i + 3], values[2 * i + 4] = names[i], ms((tonumber(was or 0) or 0) + counts[names[i]])
  end
end
if #names > 0 or seq ~= seq_was or taken ~= taken_was then call('HSET', stats_key, unpack(values)) end
local next = '-1'
if (claims and claim_n == 0) or (claimed and (claimed[1] == 'PAUSED' or claimed[1] == 'FULL')) then
  next = ms(now + 1000) -- nothing may be claimed, and nobody tells when that is over
elseif moved or size[5] > 0 or size[8] > 0 then
  -- uses: look
  next = look_again(delayed_key, gates_key)
end
return { ms(now), next, settled, begun, claimed }
