-- One turn of a worker: what it has to settle, to begin and to claim, in one call, in this order. Each of the three may be
-- missing. What they do stands in settle.lua, begin.lua, claim.lua and pick.lua.
-- uses: calls clock gate claims
-- KEYS  1 jobs  2 results  3 dead  4 dead:entries  5 delayed  6 parked  7 waiting  8 gates  9 accounts
--       10 limits  11 pauses  12 workers  13 stats  14 taken  15 claims:<worker>  16 batch:<worker>:<n>; then
--       per job to settle: order:<account>:<key> (or jobs where there is none); then the same per job to
--       begin; then the batches of these jobs; then further results lists
-- ARGV  1 worker  2 NUMBERS, packed (turn_call.lua)  3 runs  4 version of the limits  5 jitter, 0 to 1  6 the text that a blocking
--       pick-up gave, or "" (pick.lua)  7 places; then the different limits of the accounts (gate.lua), as the worker knows them;
--       then the different ops of the settlements; then the numbers of the batches; then the runs' accounts; then, as begin.lua
--       and settle.lua say, what is to be begun and what is to be settled
--   A run is neighbours of the same account, limits and op or kind. Of each, those to be settled first, `runs` has
--   three bytes: how many they are; which limits (0: none known); which op, or the letter of the kind.
--   Of each job, those to be settled first, `places` has three bytes: which of the batches; its place there, little-endian
--   (claims.lua).
-- Returns  { now ms, next ms, settled, begun, claimed }; the last three are false where nothing was asked for
--   next     when to claim again: 0 now, -1 nothing is known to come
--   settled, begun, claimed: as settle.lua, begin.lua, claim.lua and pick.lua say
-- Out of memory, Redis refuses to begin and to claim, and settles: work that is under way must end.
-- stats has "limits" -> a number that changes with every change of the limits: where the worker's is another,
-- what Redis holds counts.
--
-- Redis runs this text from the top at each call, and a function that is defined costs about as much as a command, the more the
-- more it refers to. So what is used once stands where it is used, and what is rare in blocks that take its functions in when they
-- are needed.

-- uses: turn_call turn_state

if settle_n > 0 then
  -- uses: settle
end

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

-- uses: turn_save
if picked and not outside then call('LREM', taken_key, -1, argv[6]) end

if moved or waits_n > 0 then
  -- uses: gate_pass
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
-- uses: turn_end
return { ms(now), next_look, settled, begun, claimed }
