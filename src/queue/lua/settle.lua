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
-- Jobs are put where they go first and taken out of the in-flight set last, so that an error half-way
-- (a key of the wrong type) leaves every job in its claim.

local RESULTS, LEDGERS, LISTS = SETTLE_AT + settle_n, SETTLE_AT + 2 * settle_n, FIXED + settle_n + begin_n
local extra = SETTLE_AT + 3 * settle_n -- before the due and body of the next that has them
local ops, letters, pushes, was = {}, {}, {}, {} -- was: account -> its mode before
local gone, gone_n = {}, 0                      -- tokens of claims that ended
local known = claims_known(SETTLE_AT, settle_n)
local learn, turns_of, put -- learn.lua's and settle_put.lua's, once they are needed

local function count(name, by)
  counts[name] = (counts[name] or 0) + by
end

-- uses: ledger settle_gate
local function settle_job(i, op, account, g)
  local key, token, result, ledger = keys[FIXED + i], argv[SETTLE_AT + i], argv[RESULTS + i], argv[LEDGERS + i]
  local verb, claim, due, body = op.verb, op.claim, '0', ''
  if verb ~= 'O' and verb ~= 'B' then due, body, extra = argv[extra + 1], argv[extra + 2], extra + 2 end
  if known then claim = known[i] end
  if not claim then return learn_of_lost(key, g, ledger) end
  if verb == 'B' and not g and claim ~= 'n' then return 'B' end
  -- Refused as all of its account's orders are: not the order is to blame.
  local alike = verb == 'D' and op.effect == 'r' and g and g.mode == 'h' and g.refused > 0 and g.code == op.arg
  if result ~= '' and not alike then
    local list = op.list
    if not list then return 'W' end
    list.n = list.n + 1
    list[list.n] = result
  end
  if g then leave_gate(g, account, op, claim, token) end
  if verb == 'D' and not alike then
    call('HSET', entries_key, due, body)
    call('ZADD', dead_key, ms(now), due)
  elseif verb ~= 'O' then
    if not put then
      -- uses: settle_put
      put = put_back
    end
    put(alike and 'W' or verb, token, account, alike and '0' or due, alike and '' or body, alike or op.effect == 'h')
  end
  if ledger ~= '' and (claim ~= 'n' or verb ~= 'B') then ledger_write(key, g, ledger) end
  gone_n = gone_n + 1
  gone[gone_n] = token
  if alike then
    count('held', 1)
    return 'H'
  end
  op.ended = op.ended + 1
  return 'O'
end

-- The results list of an op: what is to be pushed to it; nil where there is none.
local function results_of(further)
  local key, length = results_key, unread
  if further ~= '' then
    local theirs = keys[LISTS + further]
    local theirs_length = try('LLEN', theirs)
    if type(theirs_length) == 'number' then key, length = theirs, theirs_length end
  end
  if type(length) ~= 'number' then return nil end
  pushes[key] = pushes[key] or { n = 0 }
  return pushes[key]
end

for i = 1, ops_n do
  local op, further = { ended = 0 }, nil
  op.verb, op.effect, op.claim, op.counter, further, op.arg = string.match(argv[OPS + i], '^(.)(.)(.)([^:]*):?(%d*):?(.*)$')
  op.list, ops[i] = results_of(further), op
end
local i = 0
for r = 1, settle_runs do
  local length, _, which = byte(runs, 3 * r - 2, 3 * r)
  local account = argv[ACCOUNTS + r]
  local g = gate_of_run(r, account)
  for _ = 1, length do
    i = i + 1
    letters[i] = settle_job(i, ops[which], account, g)
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
if gone_n > 0 then
  call('HDEL', inflight_key, unpack(gone))
  size[16] = size[16] - call('HDEL', claims_key, unpack(gone))
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
