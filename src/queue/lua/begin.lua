-- Admission, after the worker has read the job and before a byte of it leaves. For each job: is the
-- claim still ours; is the order key free; is the account's gate open? (That the lease is alive, turn.lua has
-- seen.) A part of turn.lua ("-- uses: begin", after passage and admission).
-- KEYS  turn.lua's
-- ARGV  of turn.lua: the runs' kinds (P to send the order, L to look it up) and accounts in one; then the runs'
--       lengths; then the jobs' tokens; then the hashes of the orders' bytes
-- Returns  { letters, text, … }: one letter per job, and for D, U and W, in their order, a text each; where
--   Redis refuses to take jobs on, { "", why }: nothing was done
--   G  go; the ledger says "sending"          W  moved to its account's waiting list; text: why
--   D  the key's order exists; text: the ledger entry
--   K  the key stands with other bytes        B  the key is under way elsewhere, come back later
--   U  the key's outcome is unknown; text: the ledger entry
--   L  lost: the claim or the lease is gone
-- The ledger: "S hash worker token" sending, "L hash ms" being looked up, "C hash ms ids" created,
-- "U hash ms dead_id" unknown for good. Asking again for a claim that has begun answers G and takes
-- nothing more, so a lost reply is asked for again.

local function begin_all()
  local LENGTHS = HEAD + begin_runs
  local TOKENS = LENGTHS + begin_runs
  local HASHES = TOKENS + to_begin
  local letters, replies = {}, { '' }
  worker, key_start = ' ' .. argv[1] .. ' ', tonumber(argv[2]) + 1
  local claims = call('HMGET', claims_key, unpack(argv, TOKENS + 1, HASHES))
  local entries = call('MGET', unpack(keys, FIXED + 1, FIXED + to_begin))
  find_busy(begin_names, size[8] > 0 or moved, size[11] > 0)
  local i = 0
  for r = 1, begin_runs do
    admit_for(sub(argv[HEAD + r], 1, 1), begin_names[r])
    local length = argv[LENGTHS + r]
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
  if waits > 0 then moved = true end
  replies[1] = concat(letters)
  return replies
end
