-- The settlement of a job that needs more than a result and a ledger entry, or whose account's gate has something
-- to learn, or whose claim is in doubt. A part of settle.lua ("-- uses: settle_one").
-- KEYS, ARGV  turn.lua's
-- Returns  settle_job: the job's letter; settle_rest ends what its jobs have begun

-- uses: gate_own
local pushes, list_ok, was = {}, {}, {} -- was: account -> its mode before
local LISTS = FIXED + settle_n + begin_n -- before the further lists
local NO_ACCOUNT_TTL = '604800000'
local RETRY, WAIT, BACK = 82, 87, 66 -- R W B
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

local function gate_update(op, account, token)
  local g = gates_seen[account]
  if op.effect == WELL and g.fails == 0 and not g.mode then return end
  if not learn then
    -- uses: learn
    learn, turns_of = gate_learn, TURNS
  end
  g = gate_own(account)
  local mode = g.mode
  learn(g, g.limits, string.char(op.effect), tonumber(string.match(op.text, ':(%d+)$')) or 0, token, tonumber(argv[5]))
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

  put_back = function(verb, token, account, due, body)
    local id = string.match(token, '^%d+')
    local record = record_of(jobs_key, argv[1], token, call('HGET', inflight_key, token))
    if verb == RETRY then
      park_delayed(parked_key, delayed_key, id, new_record(record, body), ms(math.floor(now + tonumber(due))))
    elseif verb == WAIT then
      park_waiting(parked_key, waiting_key, gates_key, account, id, new_record(record, body))
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
  local list = tonumber(string.match(op.text, ':(%d+):'))
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
  if result ~= '' and not push(op, result) then return 'W' end
  leave_gate(op, account, claim, token)
  if op.verb == DEAD then
    call('HSET', entries_key, due, body)
    call('ZADD', dead_key, ms(now), due)
  elseif op.verb ~= DONE then
    if not put_back then define_put_back() end
    put_back(op.verb, token, account, due, body)
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
      replies[#replies + 1] = ms(math.max(0, g.till - now))
    end
  end
end
