-- Admission, after the worker has read the job and before a byte of it leaves. For each job: is the
-- claim still ours and our lease alive; is the order key free; is the account's gate open?
-- uses: kinds gate record admission
-- KEYS  1 workers  2 inflight:<worker>  3 claims:<worker>  4 parked  5 waiting  6 gates  7 accounts
--       8 limits  9 pauses  10 stats  11 delayed; from 12 on, per job: order:<account>:<key>
-- ARGV  1 worker  2 length of the ledger keys' common beginning ("dray:{q}:order:"); then per job:
--       token, kind (P to send the order, L to look it up) and account in one, hash of the order's bytes
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
local FIXED, ARGS = 11, 3
local n, letters, replies = #KEYS - FIXED, {}, { '', ms(now), '' }
ADMIT.inflight, ADMIT.claims, ADMIT.parked, ADMIT.waiting, ADMIT.gates = KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
ADMIT.accounts, ADMIT.limits, ADMIT.pauses, ADMIT.stats = KEYS[7], KEYS[8], KEYS[9], KEYS[10]
ADMIT.worker, ADMIT.key_start = ARGV[1], tonumber(ARGV[2]) + 1
ADMIT.nobody_waits, ADMIT.nobody_paused = size[6] == 0, size[9] == 0
local lease = call('ZSCORE', KEYS[1], ADMIT.worker)
if not lease or tonumber(lease) <= now then
  replies[1] = string.rep('L', n)
  return replies
end

local tokens, keys = {}, {}
for i = 1, n do
  tokens[i], keys[i] = ARGV[ARGS * i], KEYS[FIXED + i]
end
local claims = call('HMGET', KEYS[3], unpack(tokens))
local entries = call('MGET', unpack(keys))
local list, known = {}, {}
for i = 1, n do
  local kind_account = ARGV[ARGS * i + 1]
  if claims[i] == '' and not known[kind_account] then
    known[kind_account] = true
    local _, account = split(kind_account)
    if not known[account] then
      known[account] = true
      list[#list + 1] = account
    end
  end
end
accounts_fetch(list)
for i = 1, n do
  local a = ARGS * i
  local letter, text = admit(tokens[i], claims[i], keys[i], entries[i], ARGV[a + 1], ARGV[a + 2])
  letters[i] = letter
  if text then replies[#replies + 1] = text end
end
admission_end()
replies[1] = table.concat(letters)
if waits > 0 then replies[3] = look_again(size[11] > 0 and KEYS[11], ADMIT.gates) end
return replies
