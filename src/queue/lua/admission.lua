-- Admission of a claim that needs more than to be begun. A part of begin.lua ("-- uses: admission"); what the answers
-- mean, and what is written at the end: there.
-- KEYS, ARGV  turn.lua's
-- Returns  the answer's letter, and what is said beside it

-- uses: gate_own passage
local park, its_record -- record.lua's, once a job has to wait

local function wait(g, account, token, why)
  if not park then
    -- uses: bundle record
    park, its_record = park_waiting, record_of
  end
  local record = its_record(jobs_key, argv[1], token, call('HGET', inflight_key, token))
  park(parked_key, waiting_key, gates_key, account, string.match(token, '^%d+'), record)
  call('HDEL', inflight_key, token)
  waits = waits + 1
  if manual and manual[account] then
    call('ZADD', gates_key, 'XX', manual[account], account)
    spaced[account] = true
  end
  if g.probe == token then g.probe, g.till = '-', now end
  return 'W', why
end

-- What the ledger says against sending, or nil.
local function ledger_refuses(kind, entry, hash)
  if sub(entry, 3, 2 + #hash) ~= hash then return 'K' end
  local state = sub(entry, 1, 1)
  if state == 'C' then return 'D', entry end
  if state == 'U' then return 'U', entry end
  if kind == 'L' and state == 'L' then return nil end
  return 'B'
end

-- Why the job has to wait for its account's gate, or nil: it has passed.
local function gate_refuses(g, account, token)
  local why = busy and busy[account]
  if byte(token, -1) == 103 then -- g: its token was taken when it was claimed
    return why == 'm' and 'm' or gate_closed_behind(g, g.limits, token)
  end
  why = why or gate_closed(g, g.limits)
  if not why then gate_take_token(g, g.limits, token) end
  return why
end

-- Job `at` of those to begin.
local function admit(at, kind, account, token, key)
  local entry, mine = sent_now[key] or entries[at], argv[ENTRIES + at]
  local claim = ''
  if claims_now then claim = claims_now[at] end
  if not claim then return 'L' end
  if claim ~= '' then return byte(claim) < 97 and 'C' or 'G' end -- begun already: the reply that said so was lost
  if entry and entry ~= mine then -- its own is of a turn that failed half-way: nothing was sent
    local refused, what = ledger_refuses(kind, entry, sub(mine, 3, 34))
    if refused then return refused, what end
  end
  local g = gate_own(account)
  local why = gate_refuses(g, account, token)
  if why then return wait(g, account, token, why) end
  local counts = g.limits.conc > 0
  if counts then g.conc = g.conc + 1 end
  if kind == 'P' then
    sent_now[key] = mine
    ledger_sets[entries_set + 1], ledger_sets[entries_set + 2] = key, mine
    entries_set = entries_set + 2
  end
  claim_sets[2 * sets + 1], claim_sets[2 * sets + 2] = token, (counts and kind or string.lower(kind)) .. sub(key, key_start)
  sets = sets + 1
  return counts and 'C' or 'G'
end
