-- Whether one more request of an account may leave, and when to look again if not; shared by the scripts
-- that say "-- uses: gate_pass" (after gate).
-- KEYS, ARGV, what it returns: those of the script that uses it.

local LOOK_MS = 10 -- between two looks at an account that has more tokens a second than looks are worth

-- nil: one more request may leave now. Else why not, and when to look again (ms, or '+inf').
local function gate_closed(g)
  local l = g.limits
  if g.mode == 'p' and now >= g.till then g.mode, g.till, g.dirty = 'n', 0, true end
  if g.mode ~= 'n' and now < g.till then return g.mode, ms(math.ceil(g.till)) end
  if l.conc > 0 and g.conc >= l.conc then return 'c', '+inf' end
  if l.rate > 0 and g.tokens < 1 then
    -- The next token; at a high rate some more of them, as long as the bucket is not near full by then.
    local one, full = (1 - g.tokens) * 1000 / l.rate, (l.burst - g.tokens) * 1000 / l.rate
    return 'r', ms(math.ceil(now + math.max(one, math.min(LOOK_MS, full / 2))))
  end
  return nil
end

-- The same for a claim that has passed the gate already, when it was claimed: the account may have been
-- stopped since, or its slots been taken.
local function gate_closed_behind(g, number)
  if g.mode == 'p' and now >= g.till then g.mode, g.till, g.dirty = 'n', 0, true end
  if g.mode ~= 'n' and g.probe ~= ms(number) then return g.mode end
  if g.limits.conc > 0 and g.conc >= g.limits.conc then return 'c' end
  return nil
end

-- One request of the claim with this number leaves: a token goes, and where the gate is held it is the one probe.
local function gate_take_token(g, number)
  if g.limits.rate > 0 then g.tokens, g.dirty = g.tokens - 1, true end
  if g.mode == 'h' or g.mode == 'b' then
    g.probe, g.till, g.dirty = ms(number), now + g.limits.probe_ms, true
  end
end

-- How many more may leave now: for claiming waiting jobs.
local function gate_room(g)
  local l = g.limits
  if gate_closed(g) then return 0 end
  if g.mode ~= 'n' then return 1 end
  local n = math.huge
  if l.conc > 0 then n = math.min(n, math.max(0, l.conc - g.conc)) end
  if l.rate > 0 then n = math.min(n, math.floor(g.tokens)) end
  return n
end

-- Sets when the account's waiting jobs are looked at again; they stay in FIFO order in `waiting`.
local function gate_schedule(gates_key, account, g)
  local why, at = gate_closed(g)
  call('ZADD', gates_key, 'XX', why and at or ms(now), account)
end

-- The same for all loaded gates that have jobs waiting, but for those that are `spaced`.
local function gates_schedule(gates_key)
  local list = {}
  for account in pairs(gates) do
    if not spaced[account] then list[#list + 1] = account end
  end
  if #list == 0 then return end
  for i, score in ipairs(call('ZMSCORE', gates_key, unpack(list))) do
    if score then gate_schedule(gates_key, list[i], gates[list[i]]) end
  end
end
