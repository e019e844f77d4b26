-- Claims and begins in one step the one job that a blocking pick-up just moved to `taken`: what
-- an idle worker does, so that a lone job costs one round trip less. The worker has read the job.
-- uses: kinds clock gate passage record
-- KEYS  1 workers  2 inflight:<worker>  3 claims:<worker>  4 parked  5 waiting  6 gates  7 accounts
--       8 limits  9 pauses  10 stats  11 taken  12 delayed  13 order:<account>:<key>
-- ARGV  1 worker  2 length of the ledger keys' common beginning  3 P and account in one  4 hash of the
--       order's bytes  5 the job's text, as the pick-up gave it
-- Returns  { token, letter and text as of begin, now ms, next ms (as claim) }; or {} where it is to be claimed the
--   long way: nothing was done. After a lost reply the worker does not ask again; it looks for claims it does not know.
local wrong = wrong_kind({ 'zset', 'hash', 'hash', 'hash', 'zset', 'zset', 'hash', 'hash', 'hash', 'hash', 'list', 'zset' })
if wrong then return wrong end
local lease = call('ZSCORE', KEYS[1], ARGV[1])
if not lease or tonumber(lease) <= now then return {} end
if size[9] > 0 then
  -- uses: pauses
  if paused_till(KEYS[9], '') then return {} end
end
if not call('LPOS', KEYS[11], ARGV[5], 'RANK', -1) then return {} end
local inflight_key, claims_key, parked_key, waiting_key, gates_key, accounts_key, limits_key, pauses_key, stats_key =
  unpack(KEYS, 2, 10)
local sub = string.sub
do
  -- uses: admission
  worker, key_start = ' ' .. ARGV[1] .. ' ', tonumber(ARGV[2]) + 1
  local number, taken = last_number(KEYS[10], KEYS[4])
  local token = ms(number + 1) .. '.' .. time[2] .. 'f'
  call('HSET', KEYS[10], 'seq', ms(number + 1), 'taken', ms(taken + 1))
  call('HSET', KEYS[2], token, ARGV[5])
  call('LREM', KEYS[11], -1, ARGV[5])
  local entry = call('MGET', KEYS[13])[1] -- as begin does: what is no text counts as nothing
  local its_account = sub(ARGV[3], 2)
  gates_fetch(accounts_key, limits_key, { its_account })
  find_busy({ its_account }, size[6] > 0, size[9] > 0)
  admit_for(sub(ARGV[3], 1, 1), its_account)
  local letter, text = admit(token, KEYS[13], entry, ARGV[4])
  if letter ~= 'G' and letter ~= 'W' then call('HSET', KEYS[3], token, '') end
  admission_end()
  if waits > 0 then gates_schedule(gates_key) end
  gates_save(accounts_key)
  local next = '-1'
  if waits > 0 or size[6] > 0 or size[12] > 0 then
    -- uses: look
    next = look_again(KEYS[12], gates_key)
  end
  return { token, letter .. (text or ''), ms(now), next }
end
