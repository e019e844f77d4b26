-- Admission, after the worker has read the job and before a byte of it leaves. For each job: is the
-- claim still ours; is the order key free; is the account's gate open? (That the lease is alive, turn.lua has
-- seen.) A part of turn.lua ("-- uses: begin").
-- KEYS  turn.lua's
-- ARGV  of turn.lua: the jobs' tokens; then what the ledger is to say while each is being
--       sent: "S hash worker token", with the hash of the order's bytes. A run's kind: P to send the order, L to
--       look it up.
-- Returns  in `begun`: { letters, text, … }: one letter per job, and for D, U and W, in their order, a text each; where
--   Redis refuses to take jobs on, { "", why }: nothing was done
--   G  go; the ledger says "sending"          C  the same; it counts as one of its account's requests
--   W  moved to its account's waiting list; text: why
--   D  the key's order exists; text: the ledger entry
--   K  the key stands with other bytes        B  the key is under way elsewhere, come back later
--   U  the key's outcome is unknown; text: the ledger entry
--   L  lost: the claim or the lease is gone
-- The ledger: "S hash worker token" sending, "L hash ms" being looked up, "C hash ms ids" created,
-- "U hash ms dead_id" unknown for good. Asking again for a claim that has begun answers G or C and takes
-- nothing more, so a lost reply is asked for again.
-- claims:<worker> has what has begun: token -> kind, account:key; a capital kind counts as one of its account's.
-- Only accounts with a limit of requests under way are counted.

local BEGIN_TOKENS = ACCOUNTS + settle_runs + begin_runs
local BEGIN_KEYS = FIXED + settle_n -- before the ledger keys
local ENTRIES = BEGIN_TOKENS + begin_n
local answers = { '' }
local marks -- the letters, once one of them is not G
local key_start = prefix_n + 1 -- where the account begins in a ledger key
local sent_now = {}                    -- ledger key -> entry, of this batch
local ledger_sets, claim_sets = {}, {} -- written at once at the end
local sets = 0                         -- how many claims begin
local entries_set = 0                  -- how long ledger_sets is
local waits = 0
local busy, manual -- account -> why its jobs wait, from before this batch; when one that an operator paused is looked at again
local admit_one    -- admission.lua's, once a job needs more than most do
local claims_now = doubt and claims_in_doubt(BEGIN_TOKENS, begin_n) -- of the jobs, as doubt.lua says

if size[8] > 0 or moved or size[11] > 0 then
  -- uses: busy
  busy, manual = find_busy(argv, ACCOUNTS + settle_runs + 1, ACCOUNTS + settle_runs + begin_runs)
end

local entries = call('MGET', unpack(keys, BEGIN_KEYS + 1, BEGIN_KEYS + begin_n))
local at = 0
for r = settle_runs + 1, settle_runs + begin_runs do
  local length, limits, kind = byte(runs, 3 * r - 2, 3 * r)
  local account, l = argv[ACCOUNTS + r], run_limits[limits]
  local g = gates_seen[account]
  if not g and (not l or states[r] or l.rate > 0 or l.conc > 0) then
    if not gate_at then
      -- uses: gate_read gate_run
      gate_at = gate_of_run
    end
    g = gate_at(r)
  end
  if g then l = g.limits end
  local rate, conc = l.rate, l.conc
  local plain = kind == 80 and not (busy and busy[account]) and not doubt and not (g and g.mode) -- P
  for _ = 1, length do
    at = at + 1
    local token, key = argv[BEGIN_TOKENS + at], keys[BEGIN_KEYS + at]
    if plain and not entries[at] and not sent_now[key] and (rate == 0 or g.tokens >= 1) and (conc == 0 or g.conc < conc)
       and byte(token, -1) ~= 103 then -- g: gone through the gate when it was claimed
      if rate > 0 then g.tokens, g.dirty, gates_dirty = g.tokens - 1, true, true end
      if conc > 0 then
        g.conc, g.dirty, gates_dirty = g.conc + 1, true, true
        if not marks then marks = { string.rep('G', at - 1) } end
      end
      local entry = argv[ENTRIES + at]
      sent_now[key] = entry
      ledger_sets[entries_set + 1], ledger_sets[entries_set + 2] = key, entry
      claim_sets[2 * sets + 1], claim_sets[2 * sets + 2] = token, (conc > 0 and 'P' or 'p') .. sub(key, key_start)
      entries_set, sets = entries_set + 2, sets + 1
      if marks then marks[#marks + 1] = conc > 0 and 'C' or 'G' end
    else
      if not admit_one then
        -- uses: gate_read gate_run admission
        gate_at, admit_one = gate_of_run, admit
      end
      gate_at(r)
      local letter, text = admit_one(at, string.char(kind), account, token, key)
      if letter ~= 'G' and not marks then marks = { string.rep('G', at - 1) } end
      if marks then marks[#marks + 1] = letter end
      if text then answers[#answers + 1] = text end
      g = gates_seen[account]
      plain = plain and not g.mode
    end
  end
end

if entries_set > 0 then call('MSET', unpack(ledger_sets)) end
if sets > 0 then
  -- A hash of few short values is a list to Redis, and finding a claim in it a walk. One long value makes it
  -- a table for as long as it has anything in it.
  if size[16] <= ended and sets >= 8 then
    call('HSET', claims_key, string.rep('-', 65), '')
    call('HSET', claims_key, unpack(claim_sets))
    call('HDEL', claims_key, string.rep('-', 65))
  else
    call('HSET', claims_key, unpack(claim_sets))
  end
end
if waits > 0 then
  call('HINCRBY', stats_key, 'waits', waits)
  moved = true
end
answers[1] = marks and concat(marks) or string.rep('G', begin_n)
begun = answers
