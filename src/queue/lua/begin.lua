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
-- Asking again for a claim that has begun answers G or C and takes nothing more, so a lost reply is asked for again.
-- claims:<worker> has what has begun: token -> kind, account:key; a capital kind counts as one of its account's.
-- Only accounts with a limit of requests under way are counted.

-- uses: passage ledger
local ENTRIES, BEGIN_KEYS = BEGIN_AT + begin_n, FIXED + settle_n
local key_start = prefix_n + 1 -- where the account begins in a ledger key
local letters, texts = {}, {}
-- To be written at the end, and how long they are; ledger key -> entry, of this turn.
local entries, entries_n, claims_set, claims_n, sending = {}, 0, {}, 0, {}
local known = not picked and claims_known(BEGIN_AT, begin_n)
local stand = call('MGET', unpack(keys, BEGIN_KEYS + 1, BEGIN_KEYS + begin_n))
local busy, manual = {}, {} -- account -> why its jobs wait, from before this turn; when one that an operator paused is looked at again
local uncounted = { P = 'p', L = 'l' }
local park -- begin_wait.lua's, once a job has to wait
if size[8] > 0 or size[11] > 0 or moved then
  -- uses: busy
  busy, manual = find_busy(argv, ACCOUNTS + settle_runs + 1, ACCOUNTS + settle_runs + begin_runs)
end

-- Why the job has to wait for its account, or nil: it has passed the gate.
local function gate_refuses(g, account, token)
  if byte(token, -1) == 103 then -- g: it passed, and its token was taken, when it was claimed
    return busy[account] == 'm' and 'm' or gate_closed_behind(g, token)
  end
  local why = busy[account] or gate_closed(g)
  if not why then gate_take_token(g, token) end
  return why
end

local function begin_job(at, kind, account, g)
  local token, key, mine = argv[BEGIN_AT + at], keys[BEGIN_KEYS + at], argv[ENTRIES + at]
  if picked then token, mine = picked, mine .. picked end
  local claim = 'n'
  if known then claim = known[at] end
  if not claim then return 'L' end
  if claim ~= 'n' then return claim == 'c' and 'C' or 'G' end -- begun already: the reply that said so was lost
  local entry = sending[key] or stand[at]
  local refused = ledger_refuses(kind, entry, mine)
  if refused then return refused, (refused == 'D' or refused == 'U') and entry or nil end
  local why = gate_refuses(g, account, token)
  if why then
    if not outside then
      if not park then
        -- uses: begin_wait
        park = wait
      end
      park(g, account, token)
    end
    return 'W', why
  end
  local counted = g.limits.conc > 0
  if counted then g.conc, g.dirty = g.conc + 1, true end
  if kind == 'P' then
    sending[key] = mine
    entries[entries_n + 1], entries[entries_n + 2], entries_n = key, mine, entries_n + 2
  end
  claims_set[claims_n + 1], claims_set[claims_n + 2] = token, (counted and kind or uncounted[kind]) .. sub(key, key_start)
  claims_n = claims_n + 2
  return counted and 'C' or 'G'
end

local i = 0
for r = settle_runs + 1, settle_runs + begin_runs do
  local length, _, kind = byte(runs, 3 * r - 2, 3 * r)
  local account = argv[ACCOUNTS + r]
  local g = gate_of_run(r, account)
  kind = string.char(kind)
  for _ = 1, length do
    i = i + 1
    local letter, text = begin_job(i, kind, account, g)
    letters[i] = letter
    if text then texts[#texts + 1] = text end
  end
end

if outside and claims_n > 0 then
  call('HSET', inflight_key, picked, argv[6])
elseif outside then
  seq, taken = seq - 1, taken - 1
end
if entries_n > 0 then call('MSET', unpack(entries)) end
-- A hash of few short values is a list to Redis, and finding a claim in it a walk. One long value makes it
-- a table for as long as it has anything in it.
local long = size[16] == 0 and claims_n >= 16 and string.rep('-', 65)
if long then call('HSET', claims_key, long, '') end
if claims_n > 0 then call('HSET', claims_key, unpack(claims_set)) end
if long then call('HDEL', claims_key, long) end
begun = { concat(letters), unpack(texts) }
