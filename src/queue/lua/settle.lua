-- Ends claims: each job moves to results, dead letters, delayed, its account's waiting list, or back
-- to the queue's head; the ledger and the account's gate learn what was seen. Only the holder of the
-- claim may. A settlement whose reply was lost may be sent again: its claim is gone then, and
-- nothing happens twice. A part of turn.lua ("-- uses: settle").
-- KEYS  turn.lua's
-- ARGV  of turn.lua, after what is to be begun: the jobs' tokens; then their results ("" for none); then what becomes of their ledger
--       entries; then, for each dead, retry and wait, two more: due (retry, wait: ms from now; dead: entry id), body
--   op      "Osbcreated": three letters, then a counter's name or nothing
--             O done  D dead  R retry  W wait (due > 0: not before)  B back
--             the effect on the gate (learn.lua)
--             of the claim: n never begun  b begun  c begun, and counted as one of its account's (begin.lua)
--           "Opbcreated:2:5000": the result goes to the second further list; the effect's argument (learn.lua)
--   account nothing where unknown
--   body    retry, wait: state letter, a space, header JSON ("" leaves the header); dead: the entry
--   ledger  "" leave, "D" delete, or the entry's new value; back of a claim that never began leaves it
-- Returns  in `settled`: { letters, turn, account, ms, … }: one letter per job; then, for each account whose gate turned,
--   what it did (learn.lua's TURNS), the account, for how many ms (and, of one that is held: space, refused, space, code)
--   O  done    H  dead, r: refused as all of its account's are; it waits for the account, at the end of its line
--   L  lost: the claim is not ours any more (a created order's id goes into the ledger all the same)
--   W  results is no list (nothing was done)    B  back without an account, of a claim that was taken for one
--   that never began (nothing was done). A reply_to that is no list gives way to results.
-- "C" in the ledger is the truth whoever wrote it: nothing but another "C" takes its place.
-- Jobs are put where they go first and taken out of the in-flight set last, so that an error half-way
-- (a key of the wrong type) leaves every job in its claim.

local TOKENS, RESULTS, LEDGERS = SETTLE_AT, SETTLE_AT + settle_n, SETTLE_AT + 2 * settle_n
local extra = SETTLE_AT + 3 * settle_n -- before the due and body of the next that has them
local DONE, DEAD, WELL, NEVER_BEGUN, COUNTED = 79, 68, 115, 110, 99 -- O D s n c
local ops, counts = {}, {}
local held = doubt and claims_in_doubt(TOKENS, settle_n) -- of the jobs, as doubt.lua says
local letters -- once one of them is not O
local replies = { '' }
local row, rows = 1, 0 -- the first of the jobs in a row whose results have not been pushed yet; how many were
local settle_one, settle_end -- of settle_one.lua, once a job needs more than most do

local i = 0
for r = 1, settle_runs do
  local length, limits, which = byte(runs, 3 * r - 2, 3 * r)
  local op, account = ops[which], argv[ACCOUNTS + r]
  if not op then
    local text = argv[OPS + which]
    local verb, effect, claim = byte(text, 1, 3)
    op = { text = text, verb = verb, effect = effect, claim = claim, counter = string.match(text, '^...([^:]*)'), ended = 0 }
    op.plain = verb == DONE and effect == WELL and claim ~= NEVER_BEGUN and not doubt and type(results_length) == 'number'
      and #text == 3 + #op.counter
    ops[which] = op
    if verb ~= DONE and verb ~= DEAD then moved = true end
  end
  local g, counts_slot = gates_seen[account], op.claim == COUNTED
  local l, state = run_limits[limits], states[r]
  local calm = l and not g and not counts_slot and (not state or sub(state, 22, 25) == '\0\0\0\0' and byte(state) == 1)
  if not calm then
    if not gate_at then
      -- uses: gate_read gate_run
      gate_at = gate_of_run
    end
    g = gate_at(r)
    l = g and g.limits
    calm = g and not g.mode and g.fails == 0
  end
  local plain, ttl = op.plain and calm, l and l.ledger_ttl
  for _ = 1, length do
    i = i + 1
    local ledger = argv[LEDGERS + i]
    if plain and byte(ledger) == 67 and argv[RESULTS + i] ~= '' then -- C
      call('SET', keys[FIXED + i], ledger, 'PX', ttl)
      if counts_slot and g.conc > 0 then g.conc, g.dirty, gates_dirty = g.conc - 1, true, true end
      if letters then letters[i] = 'O' end
      op.ended = op.ended + 1
    else
      if i > row then
        call('LPUSH', results_key, unpack(argv, RESULTS + row, RESULTS + i - 1))
        rows = rows + i - row
      end
      row = i + 1
      if not settle_one then
        letters = {}
        for j = 1, i - 1 do letters[j] = 'O' end
        -- uses: gate_read gate_run settle_one
        gate_at = gate_of_run
        settle_one, settle_end = settle_job, settle_rest
      end
      gate_at(r)
      letters[i] = settle_one(i, op, account)
      g = gates_seen[account]
      plain = plain and not g.mode and g.fails == 0
    end
  end
end
if i >= row then
  call('LPUSH', results_key, unpack(argv, RESULTS + row, RESULTS + i))
  rows = rows + i + 1 - row
end

for _, op in pairs(ops) do
  local counter, n = op.counter, op.ended
  local kind = op.verb == DONE and 'settled' or op.verb == DEAD and 'died'
  ended = ended + n
  if counter ~= '' then counts[counter] = (counts[counter] or 0) + n end
  if kind then counts[kind] = (counts[kind] or 0) + n end
end
counts.results = rows
if settle_end then settle_end() end
-- What ended is taken out of its claims.
if ended == settle_n then
  call('HDEL', inflight_key, unpack(argv, TOKENS + 1, TOKENS + ended))
  call('HDEL', claims_key, unpack(argv, TOKENS + 1, TOKENS + ended))
elseif ended > 0 then
  local gone = {}
  for j = 1, settle_n do
    if letters[j] == 'O' or letters[j] == 'H' then gone[#gone + 1] = argv[TOKENS + j] end
  end
  call('HDEL', inflight_key, unpack(gone))
  call('HDEL', claims_key, unpack(gone))
end
for name, by in pairs(counts) do
  if by ~= 0 then call('HINCRBY', stats_key, name, by) end
end
replies[1] = letters and concat(letters) or string.rep('O', settle_n)
settled = replies
