-- Admission of one claim, shared by the scripts that say "-- uses: admission" (after gate and record).
-- KEYS, ARGV, what it returns: those of the script that uses it.
-- They set ADMIT before: keys inflight, claims, parked, waiting, gates, accounts, limits, pauses, stats;
-- worker, key_start: where the account begins in a ledger key; nobody_waits, nobody_paused: these keys
-- are empty. accounts_fetch() comes before the first admit(). The answers are begin.lua's;
-- admission_end() writes what was decided.

local ADMIT = {}
local sent_now = {}                    -- ledger key -> entry, of this batch
local ledger_sets, claim_sets = {}, {} -- written at once at the end
local sets = 0                         -- how long claim_sets is
local busy = {}                        -- account -> why its jobs wait, from before this batch
local manual = {}                      -- account -> when one that an operator paused is looked at again
local touched = {}                     -- account -> its gate, where jobs of it were moved aside
local waits = 0
local sub = string.sub

-- Reads what is stored of the batch's accounts, each once, in as many calls as for one account.
local function accounts_fetch(list)
  if #list == 0 then return end
  gates_fetch(ADMIT.accounts, ADMIT.limits, list)
  local queued = not ADMIT.nobody_waits and call('ZMSCORE', ADMIT.gates, unpack(list))
  local pauses = not ADMIT.nobody_paused and call('HMGET', ADMIT.pauses, unpack(list))
  for i = 1, #list do
    local account = list[i]
    gate_load(ADMIT.accounts, account, limits_of(ADMIT.limits, account))
    if queued and queued[i] then busy[account] = 'q' end
    local till = pauses and pause_end(pauses[i])
    if till then busy[account], manual[account] = 'm', paused_look(till) end
  end
end

local function wait(token, account, why)
  local record = record_of(token, call('HGET', ADMIT.inflight, token))
  park_waiting(ADMIT.parked, ADMIT.waiting, ADMIT.gates, account, string.match(token, '^%d+'), record)
  call('HDEL', ADMIT.inflight, token)
  call('HDEL', ADMIT.claims, token)
  waits = waits + 1
  local g = gates_seen[account]
  touched[account] = g
  g.changed = true
  if g.probe == token then g.probe, g.till = '-', now end
  return 'W', why
end

-- What the ledger says against sending, or nil.
local function ledger_refuses(entry, kind, hash)
  if sub(entry, 3, 2 + #hash) ~= hash then return 'K' end
  local state = sub(entry, 1, 1)
  if state == 'C' then return 'D', entry end
  if state == 'U' then return 'U', entry end
  if kind == 'L' and state == 'L' then return nil end
  return 'B'
end

local kinds, accounts = {}, {} -- many jobs of a batch share kind and account

local function split(kind_account)
  local kind = kinds[kind_account]
  if not kind then
    kind = sub(kind_account, 1, 1)
    kinds[kind_account], accounts[kind_account] = kind, sub(kind_account, 2)
  end
  return kind, accounts[kind_account]
end

-- claim: what claims:<worker> holds for the token; entry: the ledger's. Returns the answer's letter and
-- what is to be said beside it.
local function admit(token, claim, key, entry, kind_account, hash)
  if not claim then return 'L' end
  if claim ~= '' then return 'G' end
  local kind, account = split(kind_account)
  entry = sent_now[key] or entry
  if entry then
    local refused, what = ledger_refuses(entry, kind, hash)
    if refused then return refused, what end
  end
  local g, l = gates_seen[account], limits_seen[account]
  local why
  if sub(token, -1) == 'g' then
    if busy[account] == 'm' then why = 'm' else why = gate_closed_behind(g, l, token) end
    if why then return wait(token, account, why) end
  else
    why = busy[account] or gate_closed(g, l)
    if why then return wait(token, account, why) end
    gate_take_token(g, l, token)
  end
  g.conc = g.conc + 1
  g.changed = true
  if kind == 'P' then
    entry = 'S ' .. hash .. ' ' .. ADMIT.worker .. ' ' .. token
    sent_now[key] = entry
    ledger_sets[#ledger_sets + 1] = key
    ledger_sets[#ledger_sets + 1] = entry
  end
  claim_sets[sets + 1], claim_sets[sets + 2] = token, kind .. sub(key, ADMIT.key_start)
  sets = sets + 2
  return 'G'
end

local function admission_end()
  if #ledger_sets > 0 then call('MSET', unpack(ledger_sets)) end
  gates_save(ADMIT.accounts, true)
  for account, g in pairs(touched) do
    if manual[account] then call('ZADD', ADMIT.gates, 'XX', manual[account], account)
    else gate_schedule(ADMIT.gates, account, g, limits_seen[account]) end
  end
  if sets > 0 then call('HSET', ADMIT.claims, unpack(claim_sets)) end
  if waits > 0 then call('HINCRBY', ADMIT.stats, 'waits', waits) end
end
