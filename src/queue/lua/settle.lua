-- Ends claims: each job moves to results, dead letters, delayed, its account's waiting list, or back to the queue's head; the
-- ledger and the account's gate learn what was seen. Only the holder of the claim may. A settlement whose reply was lost may be
-- sent again: its claim has ended then, and nothing happens twice. A part of turn.lua ("-- uses: settle").
-- KEYS  turn.lua's
-- ARGV  of turn.lua, after what is to be begun: the jobs' results ("" for none); then what becomes of their ledger
--       entries; then, for each dead, retry and wait, two more: due (retry, wait: ms from now; dead: entry id), body
--   op      "Oscreated": two letters, then a counter's name or nothing
--             O done  D dead  R retry  W wait (due > 0: not before)  B back
--             the effect on the gate (gate_learn.lua)
--           "Opcreated:2:5000": the result goes to the second further list; the effect's argument (gate_learn.lua)
--   account nothing where unknown
--   body    retry, wait: state letter, a space, header JSON ("" leaves the header); dead: the entry
--   ledger  "" leave, "D" delete, or the entry's new value; back of a claim that never began leaves it
-- Returns  in `settled`: { letters, turn, account, ms, … }: one letter per job; then, for each account whose gate turned,
--   what it did (gate_learn.lua's TURNS), the account, for how many ms (and, of one that is held: space, refused, space, code)
--   O  done    H  dead, r: refused as all of its account's are; it waits for the account, at the end of its line
--   L  lost: the claim is not ours any more (a created order's id goes into the ledger all the same)
--   W  results is no list (nothing was done)    B  back without an account, of a claim that was taken for one
--   that never began (nothing was done). A reply_to that is no list gives way to results.
-- Jobs are put where they go first and taken out of their claims last: an error half-way leaves every job in its claim.

local RESULTS, LEDGERS = SETTLE_AT, SETTLE_AT + settle_n
local extra = SETTLE_AT + 2 * settle_n -- before the due and body of the next that has them
local letters, was = {}, {} -- was: account -> its mode before
local put, teach, turns_of, write, lost -- settle_put.lua's, settle_gate.lua's and ledger.lua's, once they are needed

-- uses: settle_ops
local function ledger_created(key, g, entry)
  call('PSETEX', key, (g and g.limits or limits_of(nil)).ledger_ttl, entry)
end

local at = 0
for r = 1, settle_runs do
  local length, _, which = byte(runs, 3 * r - 2, 3 * r)
  local account, op = argv[ACCOUNTS + r], ops[which]
  local g, verb, list = gate_of_run(r, account), op.verb, op.list
  for _ = 1, length do
    at = at + 1
    local b, i = batches[place[3 * at - 2]], place[3 * at - 1] + 256 * place[3 * at] + 1
    local key, result, ledger, due, body = keys[SETTLE_KEYS + at], argv[RESULTS + at], argv[LEDGERS + at], '0', ''
    if verb ~= 'O' and verb ~= 'B' then due, body, extra = argv[extra + 1], argv[extra + 2], extra + 2 end
    local letter, alike = b and b.letters[i] or ENDED, nil
    if verb == 'D' and op.effect == 'r' and g and g.mode == 'h' and g.refused > 0 and g.code == op.arg then
      alike, result = true, '' -- refused as all of its account's are: not the order is to blame
    end
    local creates = byte(ledger) == 67 -- C
    if not write and (letter == ENDED or (ledger ~= '' and not creates)) then
      -- uses: ledger
      write, lost = ledger_write, learn_of_lost
    end
    if letter == ENDED then
      letters[at] = lost(key, g, ledger)
    elseif verb == 'B' and not g and letter ~= HELD then
      letters[at] = 'B'
    elseif result ~= '' and not list then
      letters[at] = 'W'
    else
      if result ~= '' then
        list.n = list.n + 1
        list[list.n] = result
      end
      if g and is_counted(letter) and g.conc > 0 then g.conc, g.dirty = g.conc - 1, true end
      if g and (op.effect ~= 's' or not g.clean) then
        if not teach then
          -- uses: gate_learn settle_gate
          teach, turns_of = gate_hears, TURNS
        end
        teach(g, account, op, b.first + i - 1)
      end
      if verb ~= 'O' then
        if not put then
          -- uses: settle_put
          put = goes_on
        end
        put(op, account, b, i, due, body, alike)
      end
      if creates then
        ledger_created(key, g, ledger)
      elseif ledger ~= '' and (letter ~= HELD or verb ~= 'B') then
        write(key, ledger)
      end
      b.letters[i], b.left, b.dirty = ENDED, b.left - 1, true
      letters[at] = alike and 'H' or 'O'
      if alike then count('held', 1) else op.ended = op.ended + 1 end
    end
  end
end

for key, list in pairs(pushes) do
  if list.n > 0 then
    call('LPUSH', key, unpack(list))
    count('results', list.n)
  end
end
for _, op in ipairs(ops) do
  if op.ended > 0 then
    if op.counter ~= '' then count(op.counter, op.ended) end
    if op.verb == 'O' then count('settled', op.ended) elseif op.verb == 'D' then count('died', op.ended) end
  end
end
settled = { concat(letters) }
for account, mode in pairs(was) do
  local g = gates[account]
  local what = turns_of[mode .. g.mode]
  if what then
    count(what, 1)
    settled[#settled + 1], settled[#settled + 2] = what, account
    settled[#settled + 1] = ms(math.max(0, g.till - now)) .. (g.mode == 'h' and ' ' .. ms(g.refused) .. ' ' .. g.code or '')
  end
end
