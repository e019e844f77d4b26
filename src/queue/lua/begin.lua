-- Admission, after the worker has read the job and before a byte of it leaves. For each job: is the
-- claim still ours and our lease alive; is the order key free; is the account's gate open?
-- uses: kinds gate record admission
-- KEYS  1 workers  2 inflight:<worker>  3 claims:<worker>  4 parked  5 waiting  6 gates  7 accounts
--       8 limits  9 pauses  10 stats  11 delayed; from 12 on, per job: order:<account>:<key>
-- ARGV  1 worker  2 length of the ledger keys' common beginning ("dray:{q}:order:"); then per job:
--       token, kind (P to send the order, L to look it up) and account in one, hash of the order's bytes
-- Returns  per job one text, the first letter of which is
--   G  go; the ledger says "sending"          W  moved to its account's waiting list (then: why)
--   D  the key's order exists; the ledger entry follows
--   K  the key stands with other bytes        B  the key is under way elsewhere, come back later
--   U  the key's outcome is unknown; the ledger entry follows
--   L  lost: the claim or the lease is gone
--   then, where jobs were moved aside: now ms, next ms (as claim)
-- The ledger: "S hash worker token" sending, "L hash ms" being looked up, "C hash ms ids" created,
-- "U hash ms dead_id" unknown for good. Asking again for a claim that has begun answers G and takes
-- nothing more, so a lost reply is asked for again.
local wrong = wrong_kind({ 'zset', 'hash', 'hash', 'hash', 'zset', 'zset', 'hash', 'hash', 'hash', 'hash', 'zset' })
if wrong then return wrong end
local FIXED, ARGS = 11, 3
local n, replies = #KEYS - FIXED, {}
ADMIT.inflight, ADMIT.claims, ADMIT.parked, ADMIT.waiting, ADMIT.gates = KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
ADMIT.accounts, ADMIT.limits, ADMIT.pauses, ADMIT.stats = KEYS[7], KEYS[8], KEYS[9], KEYS[10]
ADMIT.worker, ADMIT.key_start = ARGV[1], tonumber(ARGV[2]) + 1
local lease = redis.call('ZSCORE', KEYS[1], ADMIT.worker)
if not lease or tonumber(lease) <= now then
  for i = 1, n do replies[i] = 'L' end
  return replies
end

local tokens, keys = {}, {}
for i = 1, n do
  tokens[i] = ARGV[ARGS * i]
  keys[i] = KEYS[FIXED + i]
end
local claims = redis.call('HMGET', KEYS[3], unpack(tokens))
local entries = redis.call('MGET', unpack(keys))
local accounts, known = {}, {}
for i = 1, n do
  local account = string.sub(ARGV[ARGS * i + 1], 2)
  if claims[i] == '' and not known[account] then
    known[account] = true
    accounts[#accounts + 1] = account
  end
end
accounts_fetch(accounts)
for i = 1, n do
  local a = ARGS * i
  replies[i] = admit(tokens[i], claims[i], keys[i], entries[i], ARGV[a + 1], ARGV[a + 2])
end
admission_end()
if waits > 0 then replies[n + 1], replies[n + 2] = ms(now), look_again(KEYS[11], ADMIT.gates) end
return replies
