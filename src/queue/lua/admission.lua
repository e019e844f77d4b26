-- Admission of one claim, shared by the scripts that say "-- uses: admission" (after gate and passage).
-- KEYS, ARGV, what it returns: those of the script that uses it.
-- They name the keys (inflight_key, …) and set worker (with a space on either side) and key_start: where the
-- account begins in a ledger key. The accounts were fetched; find_busy() comes first, then admit_for() before the
-- jobs of each kind and account. The answers are begin.lua's; admission_end() writes what was decided, but for
-- the gates.

local worker, key_start
local sent_now = {}                    -- ledger key -> entry, of this batch
local ledger_sets, claim_sets = {}, {} -- written at once at the end
local entries_set, claims_set = 0, 0   -- how long they are
local busy = {}                        -- account -> why its jobs wait, from before this batch
local manual = {}                      -- account -> when one that an operator paused is looked at again
local waits = 0
local kind, account, gate, limits, free -- of the jobs that are admitted now; free: nothing to ask the gate
local park, its_record -- record.lua's, once a job has to wait

-- Which accounts' jobs wait whatever their gates say: others of them wait already, or an operator paused them.
local function find_busy(names, somebody_waits, somebody_paused)
  if somebody_waits then
    local queued = call('ZMSCORE', gates_key, unpack(names))
    for i = 1, #names do
      if queued[i] then busy[names[i]] = 'q' end
    end
  end
  if somebody_paused then
    -- uses: pauses
    local paused = call('HMGET', pauses_key, unpack(names))
    for i = 1, #names do
      local till = pause_end(paused[i])
      if till then busy[names[i]], manual[names[i]] = 'm', paused_look(till) end
    end
  end
end

local function admit_for(its_kind, its_account)
  kind, account = its_kind, its_account
  gate = gates_seen[account]
  limits = gate.limits
  free = not busy[account] and gate.mode == 'n' and limits.rate == 0 and limits.conc == 0
end

local function wait(token, why)
  if not park then
    -- uses: record
    park, its_record = park_waiting, record_of
  end
  local record = its_record(token, call('HGET', inflight_key, token))
  park(parked_key, waiting_key, gates_key, account, string.match(token, '^%d+'), record)
  call('HDEL', inflight_key, token)
  call('HDEL', claims_key, token)
  waits = waits + 1
  if manual[account] then
    call('ZADD', gates_key, 'XX', manual[account], account)
    spaced[account] = true
  end
  if gate.probe == token then gate.probe, gate.till = '-', now end
  return 'W', why
end

-- What the ledger says against sending, or nil.
local function ledger_refuses(entry, hash)
  if sub(entry, 3, 2 + #hash) ~= hash then return 'K' end
  local state = sub(entry, 1, 1)
  if state == 'C' then return 'D', entry end
  if state == 'U' then return 'U', entry end
  if kind == 'L' and state == 'L' then return nil end
  return 'B'
end

-- Why the job has to wait for its account's gate, or nil: it has passed.
local function gate_refuses(token)
  if byte(token, -1) == 103 then -- g: its token was taken when it was claimed
    return busy[account] == 'm' and 'm' or gate_closed_behind(gate, limits, token)
  end
  local why = busy[account] or gate_closed(gate, limits)
  if not why then gate_take_token(gate, limits, token) end
  return why
end

-- A claim that has not begun; entry: the ledger's. Returns the answer's letter and what is said beside it.
local function admit(token, key, entry, hash)
  entry = sent_now[key] or entry
  if entry then
    local refused, what = ledger_refuses(entry, hash)
    if refused then return refused, what end
  end
  local why = not free and gate_refuses(token)
  if why then return wait(token, why) end
  gate.conc = gate.conc + 1
  if kind == 'P' then
    entry = 'S ' .. hash .. worker .. token
    sent_now[key] = entry
    ledger_sets[entries_set + 1], ledger_sets[entries_set + 2] = key, entry
    entries_set = entries_set + 2
  end
  claim_sets[claims_set + 1], claim_sets[claims_set + 2] = token, kind .. sub(key, key_start)
  claims_set = claims_set + 2
  return 'G'
end

local function admission_end()
  if entries_set > 0 then call('MSET', unpack(ledger_sets)) end
  if claims_set > 0 then call('HSET', claims_key, unpack(claim_sets)) end
  if waits > 0 then call('HINCRBY', stats_key, 'waits', waits) end
end
