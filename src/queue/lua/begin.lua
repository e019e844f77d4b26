-- Admission, after the worker has read the job and before a byte of it leaves. For each job: is the
-- claim still ours; is the order key free; is the account's gate open? (That the lease is alive, turn.lua has
-- seen.) A part of turn.lua ("-- uses: begin").
-- KEYS  turn.lua's
-- ARGV  of turn.lua: what the ledger is to say while each is being
--       sent: "S hash worker token", with the hash of the order's bytes. A run's kind: P to send the order, L to
--       look it up.
-- Returns  in `begun`: { letters, text, … }: one letter per job, and for D, U and W, in their order, a text each; where
--   Redis refuses to take jobs on, { "", why }: nothing was done
--   G  go; the ledger says "sending"
--   W  moved to its account's waiting list; text: why
--   D  the key's order exists; text: the ledger entry
--   K  the key stands with other bytes        B  the key is under way elsewhere, come back later
--   U  the key's outcome is unknown; text: the ledger entry
--   L  lost: the claim or the lease is gone
-- Asking again for a claim that has begun answers G and takes nothing more, so a lost reply is asked for again.
-- Only accounts with a limit of requests under way are counted.

local key_start = prefix_n + 1 -- where the account begins in a ledger key
local letters, texts = {}, {}
-- To be written at the end, and how long they are; ledger key -> entry, of this turn; batch -> what has begun of it.
local entries, entries_n, sending, opened = {}, 0, {}, {}
local stand = call('MGET', unpack(keys, BEGIN_KEYS + 1, BEGIN_KEYS + begin_n))
local busy, manual = {}, {} -- account -> why its jobs wait, from before this turn; when one that an operator paused is looked at again
local SEND = 80 -- P
local refuses, park -- begin_refusal.lua's and begin_wait.lua's, once they are needed
if waits_n > 0 or pauses_n > 0 or moved then
  -- uses: begin_busy
  busy, manual = find_busy(argv, ACCOUNTS + settle_runs + 1, BEGIN_AT)
end

local at = 0
for r = settle_runs + 1, settle_runs + begin_runs do
  local length, _, kind = byte(runs, 3 * r - 2, 3 * r)
  local account = argv[ACCOUNTS + r]
  local g = gate_of_run(r, account)
  local counted = g.limits.conc > 0
  local free = not busy[account] and g.mode == 'n' and g.limits.rate == 0 and not counted -- nothing can hold it up
  local letter_begun = counted and kind or kind + 32 -- P L, p l
  for _ = 1, length do
    at = at + 1
    local p = 3 * (settle_n + at)
    local b, i = batches[place[p - 2]], place[p - 1] + 256 * place[p] + 1
    local letter, text = b and b.letters[i] or ENDED, nil
    if letter == ENDED then
      letter = 'L'
    elseif letter ~= HELD then
      letter = 'G' -- begun already: the reply that said so was lost
    else
      local key = keys[BEGIN_KEYS + at]
      letter = nil
      if not free or stand[at] or sending[key] then
        if not refuses then
          -- uses: begin_refusal
          refuses = refusal
        end
        letter, text = refuses(at, kind, account, g, b, i)
      end
      if not letter then
        letter = 'G'
        b.letters[i], b.dirty = letter_begun, true
        if counted then g.conc, g.dirty = g.conc + 1, true end
        if kind == SEND then
          sending[key] = argv[BEGIN_AT + at]
          entries[entries_n + 1], entries[entries_n + 2], entries_n = key, argv[BEGIN_AT + at], entries_n + 2
        end
        local list = opened[b]
        if not list then
          list = { n = 0 }
          opened[b] = list
        end
        local n, account_key = list.n, sub(key, key_start)
        list[n + 1], list[n + 2], list[n + 3], list.n = i - 1, #account_key, account_key, n + 3
      end
    end
    letters[at] = letter
    if text then texts[#texts + 1] = text end
  end
end

for b, list in pairs(opened) do b.begun = b.begun .. struct.pack('<' .. string.rep(BEGUN_KEY, list.n / 3), unpack(list)) end
if entries_n > 0 then call('MSET', unpack(entries)) end
if outside and picked and not opened[picked] then
  seq, taken, picked.dirty = seq - 1, taken - 1, false -- it may not begin: nothing is left of it
elseif outside and picked then
  call('RPUSH', batch_key, argv[6])
end
begun = { concat(letters), unpack(texts) }
