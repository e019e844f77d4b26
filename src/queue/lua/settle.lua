-- Ends claims: each job moves to results, dead letters, delayed, its account's waiting list, or back
-- to the queue's head; the ledger and the account's gate learn what was seen. Only the holder of the
-- claim may. A settlement whose reply was lost may be sent again: its claim is gone then, and
-- nothing happens twice.
-- uses: kinds gate record
-- KEYS  1 jobs  2 dead  3 dead:entries  4 delayed  5 parked  6 waiting  7 gates  8 accounts  9 limits
--       10 stats  11 inflight:<worker>  12 claims:<worker>  13 results; then per job
--       order:<account>:<key> (or jobs where there is none); then further results lists
-- ARGV  1 jitter, 0 to 1  2 "1" if this batch is sent again  3 number of jobs; then per job: token, what,
--       result ("" for none), ledger; and for dead, retry and wait two more: due (retry: ms from now;
--       dead: entry id), body
--   what    "op account effect" in one text, as many jobs share it: "done:created shop s"
--           op: done | dead | retry | wait (due > 0: not before) | back; a counter's name may follow a
--           colon; "@2" behind it: the result goes to the second further list
--           account: nothing where unknown; effect: the gate's (gate.lua) and its argument ("p5000")
--   body    retry, wait: state letter, a space, header JSON ("" leaves the header); dead: the entry
--   ledger  "" leave, "D" delete, or the entry's new value; back of a claim that never began leaves it
-- Returns  per job: OK; LOST: the claim is not ours any more (a created order's id goes into the
--   ledger all the same); WRONGTYPE: results is no list (nothing was done); BEGUN: back without an account,
--   of a claim that was taken for one that never began (nothing was done). A reply_to that is no list
--   gives way to results.
--   Then now ms, next ms (as claim); then, for each account whose gate turned: what it did (gate.lua's
--   TURNS), the account, for how many ms
-- "C" in the ledger is the truth whoever wrote it: nothing but another "C" takes its place.
-- Jobs are put where they go first and taken out of the in-flight set last, so that an error half-way
-- (a key of the wrong type) leaves every job in its claim.
local wrong = wrong_kind({ 'list', 'zset', 'hash', 'zset', 'hash', 'zset', 'zset', 'hash', 'hash', 'hash', 'hash', 'hash' })
if wrong then return wrong end
pass_without_memory(KEYS[12])
local FIXED = 13
local jitter, again, n = tonumber(ARGV[1]), ARGV[2] == '1', tonumber(ARGV[3])
local counts, replies, ended, pushes, list_ok, ops = {}, {}, {}, {}, {}, {}

local function op_of(text)
  local op = ops[text]
  if op then return op end
  local verb, counter, list, account, effect, arg = string.match(text, '^(%a+):?([%a_]*)@?(%d*) (%S*) (.)(%d*)$')
  op = { verb = verb, counter = counter ~= '' and counter, args = (verb == 'done' or verb == 'back') and 4 or 6,
         account = account, effect = effect, arg = tonumber(arg) or 0,
         results = list ~= '' and KEYS[FIXED + n + tonumber(list)] or KEYS[FIXED] }
  ops[text] = op
  return op
end

local tokens, at = {}, {} -- of each job; where its arguments start
local a = 4
for i = 1, n do
  tokens[i], at[i] = ARGV[a], a
  a = a + op_of(ARGV[a + 1]).args
end
local claims = redis.call('HMGET', KEYS[12], unpack(tokens))

local function count(name, by)
  counts[name] = (counts[name] or 0) + (by or 1)
end

local function is_created(key)
  local entry = redis.pcall('GET', key)
  return type(entry) == 'string' and string.sub(entry, 1, 1) == 'C'
end

local function ledger_write(key, account, value)
  if value == '' then return end
  if string.sub(value, 1, 1) == 'C' then
    redis.call('SET', key, value, 'PX', limits_of(KEYS[9], account).ledger_ttl)
  elseif is_created(key) then
    count('ledger_kept')
  elseif value == 'D' then
    redis.call('DEL', key)
  else
    redis.call('SET', key, value)
  end
end

-- A worker that lost its claim still knows what the provider said.
local function learn_of_lost(key, account, ledger)
  if not again then count('fenced') end
  if string.sub(ledger, 1, 1) == 'C' and not is_created(key) then
    ledger_write(key, account, ledger)
    count('fenced_learned')
  end
  return 'LOST'
end

local function gate_update(op, token, begun)
  local l = limits_of(KEYS[9], op.account)
  local g = gate_load(KEYS[8], op.account, l)
  g.was = g.was or g.mode
  if begun then g.conc = math.max(0, g.conc - 1) end
  gate_learn(g, l, op.effect, op.arg, token, jitter)
  return g
end

local function new_record(record, body)
  if body == '' then return record end
  local recoveries, _, position = record_split(record)
  local text = string.find(record, '\n', 1, true)
  return recoveries .. string.sub(body, 1, 1) .. position .. string.sub(body, 2) .. string.sub(record, text)
end

local function is_list(key)
  if list_ok[key] == nil then
    local kind = redis.call('TYPE', key).ok
    list_ok[key] = kind == 'list' or kind == 'none'
  end
  return list_ok[key]
end

-- Where the job goes that is neither done nor dead.
local function put_back(verb, token, account, g, due, body)
  local id = string.match(token, '^%d+')
  local record = record_of(token, redis.call('HGET', KEYS[11], token))
  if verb == 'retry' then
    park_delayed(KEYS[5], KEYS[4], id, new_record(record, body), ms(math.floor(now + tonumber(due))))
  elseif verb == 'wait' then
    park_waiting(KEYS[5], KEYS[6], KEYS[7], account, id, new_record(record, body))
    if tonumber(due) > 0 then
      redis.call('ZADD', KEYS[7], ms(now + tonumber(due)), account)
      g.spaced = true
    end
  elseif give_back(KEYS[1], KEYS[5], KEYS[4], id, record) == 1 then
    count('taken', -1)
  end
end

local function settle(i)
  local a, token, key = at[i], tokens[i], KEYS[FIXED + i]
  local op, result, ledger = ops[ARGV[a + 1]], ARGV[a + 2], ARGV[a + 3]
  local account = op.account
  if not claims[i] then return learn_of_lost(key, account, ledger) end
  if op.verb == 'back' and account == '' and claims[i] ~= '' then return 'BEGUN' end
  local results = op.results
  if result ~= '' and not is_list(results) then
    results = KEYS[FIXED]
    if not is_list(results) then return 'WRONGTYPE' end
  end
  local g = account ~= '' and gate_update(op, token, claims[i] ~= '')
  if op.verb == 'done' then
    count('settled')
  elseif op.verb == 'dead' then
    redis.call('HSET', KEYS[3], ARGV[a + 4], ARGV[a + 5])
    redis.call('ZADD', KEYS[2], ms(now), ARGV[a + 4])
    count('died')
  else
    put_back(op.verb, token, account, g, ARGV[a + 4], ARGV[a + 5])
  end
  if op.verb ~= 'back' or claims[i] ~= '' then ledger_write(key, account, ledger) end
  if result ~= '' then
    local list = pushes[results]
    if not list then
      list = {}
      pushes[results] = list
    end
    list[#list + 1] = result
  end
  if op.counter then count(op.counter) end
  ended[#ended + 1] = token
  return 'OK'
end

local function fetch_accounts()
  local list, known = {}, {}
  for _, op in pairs(ops) do
    if op.account ~= '' and not known[op.account] then
      known[op.account] = true
      list[#list + 1] = op.account
    end
  end
  if #list > 0 then gates_fetch(KEYS[8], KEYS[9], list) end
end

fetch_accounts()
for i = 1, n do replies[i] = settle(i) end
gates_schedule(KEYS[7], function(g) return g.spaced end)
gates_save(KEYS[8])
local turns = {}
for account, g in pairs(gates_seen) do
  local turn = TURNS[(g.was or g.mode) .. g.mode]
  if turn then
    count(turn)
    turns[#turns + 1] = turn
    turns[#turns + 1] = account
    turns[#turns + 1] = ms(math.max(0, g.till - now))
  end
end
for results, list in pairs(pushes) do
  redis.call('LPUSH', results, unpack(list))
  count('results', #list)
end
if #ended > 0 then
  redis.call('HDEL', KEYS[11], unpack(ended))
  redis.call('HDEL', KEYS[12], unpack(ended))
end
for name, by in pairs(counts) do
  if by ~= 0 then redis.call('HINCRBY', KEYS[10], name, by) end
end
replies[n + 1], replies[n + 2] = ms(now), look_again(KEYS[4], KEYS[7])
for _, word in ipairs(turns) do replies[#replies + 1] = word end
return replies
