-- The settlement of a job that needs more than a result and a ledger entry, or whose account's gate has something
-- to learn, or whose claim is in doubt. A part of settle.lua ("-- uses: settle_one").
-- KEYS, ARGV  turn.lua's
-- Returns  settle_job: the job's letter; settle_rest ends what its jobs have begun

-- uses: gate_own
local pushes, list_ok, was = {}, {}, {} -- was: account -> its mode before
local LISTS = FIXED + settle_n + begin_n -- before the further lists
local NO_ACCOUNT_TTL = '604800000'
local RETRY, WAIT, BACK = 82, 87, 66 -- R W B
local REFUSED, HELD = 114, 104 -- r h
local CLAIM = { [NEVER_BEGUN] = '', [98] = 'p', [COUNTED] = 'P' }

local function count(name)
  counts[name] = (counts[name] or 0) + 1
end

local function is_created(key)
  local entry = try('GET', key)
  return type(entry) == 'string' and sub(entry, 1, 1) == 'C'
end

local function ledger_write(key, ttl, value)
  if byte(value) == 67 then -- C
    call('SET', key, value, 'PX', ttl)
  elseif is_created(key) then
    count('ledger_kept')
  elseif value == 'D' then
    call('DEL', key)
  else
    call('SET', key, value)
  end
end

-- A worker that lost its claim still knows what the provider said.
local function learn_of_lost(key, ttl, ledger)
  if not again then count('fenced') end
  if byte(ledger) == 67 and not is_created(key) then
    ledger_write(key, ttl, ledger)
    count('fenced_learned')
  elseif not again and try('GET', key) == ledger then -- it went ahead of this turn (undo.lua)
    count('fenced_learned')
  end
  return 'L'
end

local learn, turns_of -- learn.lua's, once there is something to learn

-- The effect's argument: after the second colon.
local function effect_arg(op)
  op.arg = op.arg or string.match(op.text, '^...[^:]*:%d*:(.*)$') or ''
  return op.arg
end

local function gate_update(op, account, token)
  local g = gates_seen[account]
  if op.effect == WELL and g.fails == 0 and not g.mode then return end
  if not learn then
    -- uses: learn
    learn, turns_of = gate_learn, TURNS
  end
  g = gate_own(account)
  local mode = g.mode
  if learn(g, g.limits, string.char(op.effect), effect_arg(op), token, tonumber(argv[5])) then
    local field, number = 'passed:' .. account, tonumber(string.match(token, '^%d+')) -- gone_round reads it
    if number > (tonumber(call('HGET', stats_key, field) or 0) or 0) then call('HSET', stats_key, field, ms(number)) end
  end
  if g.mode ~= mode and not was[account] then was[account] = mode end
end

local function is_list(key)
  if list_ok[key] == nil then list_ok[key] = type(try('LLEN', key)) == 'number' end
  return list_ok[key]
end

-- Where the job goes that is neither done nor dead; nil as long as there was none of these.
local put_back

local function define_put_back()
  -- uses: bundle record
  local function new_record(record, body)
    if body == '' then return record end
    local recoveries, _, position = record_split(record)
    local text = string.find(record, '\n', 1, true)
    return recoveries .. sub(body, 1, 1) .. position .. sub(body, 2) .. sub(record, text)
  end

  -- A job that was refused goes to the end of its account's line. The header's "r" counts its refusals, and "c" is the
  -- number of its claim at the first (0: an order that was claimed later went through): the second refusal counts only
  -- if others went through since then, as otherwise not the order is to blame, but the account.
  local function gone_round(account, record)
    local recoveries, state, _, at = record_split(record)
    local rest = sub(record, at)
    local first = string.match(rest, '^{"n":%d+,"l":%d+,"f":%d+,"s":%d+,"r":2,"c":(%d+),')
    if first and first ~= '0' and tonumber(call('HGET', stats_key, 'passed:' .. account) or 0) <= tonumber(first) then
      rest = string.gsub(rest, '"r":2,', '"r":1,', 1)
    end
    seq, counted = seq + 1, true
    return ms(seq), recoveries .. state .. ms(seq) .. ' ' .. rest
  end

  put_back = function(verb, token, account, due, body, refused)
    local id = string.match(token, '^%d+')
    local record = record_of(jobs_key, argv[1], token, call('HGET', inflight_key, token))
    if verb == RETRY then
      park_delayed(parked_key, delayed_key, id, new_record(record, body), ms(math.floor(now + tonumber(due))))
    elseif verb == WAIT then
      record = new_record(record, body)
      if refused then id, record = gone_round(account, record) end
      park_waiting(parked_key, waiting_key, gates_key, account, id, record)
      if tonumber(due) > 0 then
        call('ZADD', gates_key, ms(now + tonumber(due)), account)
        spaced[account] = true
      end
    elseif give_back(jobs_key, parked_key, delayed_key, id, record) == 1 then
      taken, counted = taken - 1, true
    end
  end
end

-- Gives up the place that the claim had among its account's requests, and tells the gate what was seen.
local function leave_gate(op, account, claim, token)
  local g = gates_seen[account]
  if not g then return end
  if sub(claim, 1, 1) < 'a' and claim ~= '' and g.conc > 0 then -- a capital: counted
    g = gate_own(account)
    g.conc = g.conc - 1
  end
  gate_update(op, account, token)
end

local function push(op, result)
  local list = tonumber(string.match(op.text, '^...[^:]*:(%d+):'))
  local to = list and keys[LISTS + list] or results_key
  if not is_list(to) then
    to = results_key
    if not is_list(to) then return false end
  end
  pushes[to] = pushes[to] or {}
  table.insert(pushes[to], result)
  return true
end

local function settle_job(i, op, account)
  local key, token, result, ledger = keys[FIXED + i], argv[TOKENS + i], argv[RESULTS + i], argv[LEDGERS + i]
  local g, claim, back = gates_seen[account], CLAIM[op.claim], op.verb == BACK
  local ttl = g and g.limits.ledger_ttl or NO_ACCOUNT_TTL
  local due, body
  if op.verb ~= DONE and not back then due, body, extra = argv[extra + 1], argv[extra + 2], extra + 2 end
  if held then claim = held[i] end
  if not claim then return learn_of_lost(key, ttl, ledger) end
  if back and not g and claim ~= '' then return 'B' end
  -- Refused as all of its account's orders are: not the order is to blame.
  if op.effect == REFUSED and op.verb == DEAD and g and g.mode == 'h' and (g.refused or 0) > 0 and g.code == effect_arg(op) then
    leave_gate(op, account, claim, token)
    if not put_back then define_put_back() end
    put_back(WAIT, token, account, '0', '', true)
    if ledger ~= '' then ledger_write(key, ttl, ledger) end
    op.ended, moved = op.ended + 1, true
    counts.died, counts[op.counter] = (counts.died or 0) - 1, (counts[op.counter] or 0) - 1
    count('held')
    return 'H'
  end
  if result ~= '' and not push(op, result) then return 'W' end
  leave_gate(op, account, claim, token)
  if op.verb == DEAD then
    call('HSET', entries_key, due, body)
    call('ZADD', dead_key, ms(now), due)
  elseif op.verb ~= DONE then
    if not put_back then define_put_back() end
    put_back(op.verb, token, account, due, body, op.effect == HELD)
  end
  if ledger ~= '' and (claim ~= '' or not back) then ledger_write(key, ttl, ledger) end
  op.ended = op.ended + 1
  return 'O'
end

local function settle_rest()
  for results, list in pairs(pushes) do
    call('LPUSH', results, unpack(list))
    counts.results = counts.results + #list
  end
  for account, mode in pairs(was) do
    local g = gates_seen[account]
    local turn = turns_of[mode .. g.mode]
    if turn then
      count(turn)
      replies[#replies + 1] = turn
      replies[#replies + 1] = account
      replies[#replies + 1] = ms(math.max(0, g.till - now)) .. (g.mode == 'h' and ' ' .. ms(g.refused) .. ' ' .. g.code or '')
    end
  end
end
