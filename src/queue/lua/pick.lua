-- Claims and begins in one step the one job that a blocking pick-up just moved to `taken`: what
-- an idle worker does, so that a lone job costs one round trip less. The worker has read the job.
-- uses: kinds gate record admission
-- KEYS  1 workers  2 inflight:<worker>  3 claims:<worker>  4 parked  5 waiting  6 gates  7 accounts
--       8 limits  9 pauses  10 stats  11 taken  12 delayed  13 order:<account>:<key>
-- ARGV  1 worker  2 length of the ledger keys' common beginning  3 P and account in one  4 hash of the
--       order's bytes  5 the job's text, as the pick-up gave it
-- Returns  { token, letter and text as of begin, now ms, next ms (as claim) }; or {} where it is to be claimed the
--   long way: nothing was done. After a lost reply the worker does not ask again; it looks for claims it does not know.
local wrong = wrong_kind({ 'zset', 'hash', 'hash', 'hash', 'zset', 'zset', 'hash', 'hash', 'hash', 'hash', 'list', 'zset' })
if wrong then return wrong end
local lease = call('ZSCORE', KEYS[1], ARGV[1])
if not lease or tonumber(lease) <= now or (size[9] > 0 and paused_till(KEYS[9], '')) then return {} end
if not call('LPOS', KEYS[11], ARGV[5], 'RANK', -1) then return {} end
ADMIT.inflight, ADMIT.claims, ADMIT.parked, ADMIT.waiting, ADMIT.gates = KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
ADMIT.accounts, ADMIT.limits, ADMIT.pauses, ADMIT.stats = KEYS[7], KEYS[8], KEYS[9], KEYS[10]
worker, key_start = ' ' .. ARGV[1] .. ' ', tonumber(ARGV[2]) + 1
ADMIT.nobody_waits, ADMIT.nobody_paused = size[6] == 0, size[9] == 0
local number, taken = last_number(KEYS[10], KEYS[4])
local token = ms(number + 1) .. '.' .. time[2] .. 'f'
call('HSET', KEYS[10], 'seq', ms(number + 1), 'taken', ms(taken + 1))
call('HSET', KEYS[2], token, ARGV[5])
call('LREM', KEYS[11], -1, ARGV[5])
local entry = call('MGET', KEYS[13])[1] -- as begin does: what is no text counts as nothing
local its_account = sub(ARGV[3], 2)
accounts_fetch({ its_account })
admit_for(sub(ARGV[3], 1, 1), its_account)
local letter, text = admit(token, KEYS[13], entry, ARGV[4])
if letter ~= 'G' and letter ~= 'W' then call('HSET', KEYS[3], token, '') end
admission_end()
return { token, letter .. (text or ''), ms(now),
  look_again(size[12] > 0 and KEYS[12], (waits > 0 or size[6] > 0) and ADMIT.gates) }
