-- Admission, after the worker has read the job and before a byte of it leaves. For each job: is the
-- claim still ours and our lease alive; is the order key free; is the account's gate open?
-- uses: kinds clock gate passage admission
-- KEYS  1 workers  2 inflight:<worker>  3 claims:<worker>  4 parked  5 waiting  6 gates  7 accounts
--       8 limits  9 pauses  10 stats  11 delayed; from 12 on, per job: order:<account>:<key>
-- ARGV  1 worker  2 length of the ledger keys' common beginning ("dray:{q}:order:")  3 number of jobs
--       4 number of runs: neighbours of one kind and account; then the runs' kinds (P to send the order,
--       L to look it up) and accounts in one; then the runs' lengths; then the jobs' tokens; then the hashes
--       of the orders' bytes
-- Returns  { letters, now ms, next ms (as claim; "" where nothing changed), text, … }: one letter per job,
--   and for D, U and W, in their order, a text each
--   G  go; the ledger says "sending"          W  moved to its account's waiting list; text: why
--   D  the key's order exists; text: the ledger entry
--   K  the key stands with other bytes        B  the key is under way elsewhere, come back later
--   U  the key's outcome is unknown; text: the ledger entry
--   L  lost: the claim or the lease is gone
-- The ledger: "S hash worker token" sending, "L hash ms" being looked up, "C hash ms ids" created,
-- "U hash ms dead_id" unknown for good. Asking again for a claim that has begun answers G and takes
-- nothing more, so a lost reply is asked for again.
local wrong = wrong_kind({ 'zset', 'hash', 'hash', 'hash', 'zset', 'zset', 'hash', 'hash', 'hash', 'hash', 'zset' })
if wrong then return wrong end
local FIXED, HEAD = 11, 4
local argv, keys = ARGV, KEYS
local n, runs, letters, replies = tonumber(argv[3]), tonumber(argv[4]), {}, { '', ms(now), '' }
local TOKENS = HEAD + 2 * runs
local HASHES = TOKENS + n
ADMIT = { inflight = keys[2], claims = keys[3], parked = keys[4], waiting = keys[5], gates = keys[6],
          accounts = keys[7], limits = keys[8], pauses = keys[9], stats = keys[10], nobody_waits = size[6] == 0,
          nobody_paused = size[9] == 0 }
worker, key_start = ' ' .. argv[1] .. ' ', tonumber(argv[2]) + 1
local lease = call('ZSCORE', KEYS[1], argv[1])
if not lease or tonumber(lease) <= now then
  replies[1] = string.rep('L', n)
  return replies
end

local claims = call('HMGET', KEYS[3], unpack(argv, TOKENS + 1, HASHES))
local entries = call('MGET', unpack(keys, FIXED + 1))
local list = {}
for r = 1, runs do list[r] = sub(argv[HEAD + r], 2) end
accounts_fetch(list)
local i = 0
for r = 1, runs do
  admit_for(sub(argv[HEAD + r], 1, 1), list[r])
  local length = argv[HEAD + runs + r]
  for _ = 1, length == '1' and 1 or tonumber(length) do
    i = i + 1
    local claim = claims[i]
    if claim == '' then
      local letter, text = admit(argv[TOKENS + i], keys[FIXED + i], entries[i], argv[HASHES + i])
      letters[i] = letter
      if text then replies[#replies + 1] = text end
    elseif claim then
      letters[i] = 'G' -- begun already: the reply that said so was lost
    else
      letters[i] = 'L'
    end
  end
end
admission_end()
replies[1] = table.concat(letters)
if waits > 0 then
  -- uses: look
  replies[3] = look_again(size[11] > 0 and keys[11], ADMIT.gates)
end
return replies
