-- Admission of one claim, shared by the scripts that say "-- uses: admission" (after gate and record).
-- KEYS, ARGV, what it returns: those of the script that uses it.
-- They set ADMIT before: keys inflight, claims, parked, waiting, gates, accounts, limits, pauses, stats;
-- worker, and key_start: where the account begins in a ledger key. accounts_fetch() comes before the
-- first admit(). The answers are begin.lua's; admission_end() writes what was decided.

local ADMIT = {}
local sent_now = {}                    -- ledger key -> entry, of this batch
local ledger_sets, claim_sets = {}, {} -- written at once at the end
local busy = {}                        -- account -> why its jobs wait, from before this batch
local waits = 0

-- Reads what is stored of the batch's accounts, each once, in as many calls as for one account.
local function accounts_fetch(list)
  if #list == 0 then return end
  gates_fetch(ADMIT.accounts, ADMIT.limits, list)
  local queued = redis.call('ZMSCORE', ADMIT.gates, unpack(list))
  local pauses = redis.call('HMGET', ADMIT.pauses, unpack(list))
  for i, account in ipairs(list) do
    local g = gate_load(ADMIT.accounts, account, limits_of(ADMIT.limits, account))
    local till = pause_end(pauses[i])
    busy[account] = till and 'm' or queued[i] and 'q'
    if till then g.manual = paused_look(till) end
  end
end

local function wait(token, account, why)
  local record = record_of(token, redis.call('HGET', ADMIT.inflight, token))
  park_waiting(ADMIT.parked, ADMIT.waiting, ADMIT.gates, account, string.match(token, '^%d+'), record)
  redis.call('HDEL', ADMIT.inflight, token)
  redis.call('HDEL', ADMIT.claims, token)
  waits = waits + 1
  local g = gates_seen[account]
  g.touched = true
  if g.probe == token then g.probe, g.till = '-', now end
  return 'W' .. why
end

-- What the ledger says against sending, or nil.
local function ledger_refuses(entry, kind, hash)
  if not entry then return nil end
  if string.sub(entry, 3, 2 + #hash) ~= hash then return 'K' end
  local state = string.sub(entry, 1, 1)
  if state == 'C' then return 'D' .. entry end
  if state == 'U' then return 'U' .. entry end
  if kind == 'L' and state == 'L' then return nil end
  return 'B'
end

local kinds, accounts = {}, {} -- many jobs of a batch share kind and account

local function split(kind_account)
  local kind = kinds[kind_account]
  if not kind then
    kind = string.sub(kind_account, 1, 1)
    kinds[kind_account], accounts[kind_account] = kind, string.sub(kind_account, 2)
  end
  return kind, accounts[kind_account]
end

-- claim: what claims:<worker> holds for the token; entry: the ledger's.
local function admit(token, claim, key, entry, kind_account, hash)
  if not claim then return 'L' end
  if claim ~= '' then return 'G' end
  local kind, account = split(kind_account)
  local refused = ledger_refuses(sent_now[key] or entry, kind, hash)
  if refused then return refused end
  local g, l = gates_seen[account], limits_seen[account]
  local passed, why = string.sub(token, -1) == 'g', nil
  if passed then why = busy[account] == 'm' and 'm' or gate_closed_behind(g, l, token)
  else why = busy[account] or gate_closed(g, l) end
  if why then return wait(token, account, why) end
  if not passed then gate_take_token(g, l, token) end
  g.conc = g.conc + 1
  g.dirty = true
  if kind == 'P' then
    local entry = 'S ' .. hash .. ' ' .. ADMIT.worker .. ' ' .. token
    sent_now[key] = entry
    ledger_sets[#ledger_sets + 1] = key
    ledger_sets[#ledger_sets + 1] = entry
  end
  claim_sets[#claim_sets + 1] = token
  claim_sets[#claim_sets + 1] = kind .. string.sub(key, ADMIT.key_start)
  return 'G'
end

local function admission_end()
  if #ledger_sets > 0 then redis.call('MSET', unpack(ledger_sets)) end
  gates_save(ADMIT.accounts, function(g) return g.dirty or g.touched end)
  for account, g in pairs(gates_seen) do
    if g.touched then
      if g.manual then redis.call('ZADD', ADMIT.gates, 'XX', g.manual, account)
      else gate_schedule(ADMIT.gates, account, g, limits_seen[account]) end
    end
  end
  if #claim_sets > 0 then redis.call('HSET', ADMIT.claims, unpack(claim_sets)) end
  if waits > 0 then redis.call('HINCRBY', ADMIT.stats, 'waits', waits) end
end
