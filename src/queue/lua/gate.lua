-- Account gates as they are stored, shared by the scripts that say "-- uses: gate" (after clock). An account's
-- gate decides whether one more request may leave, whatever worker sends it: rate, concurrency, pause, hold,
-- breaker. Who may leave: passage.lua; what an answer teaches: learn.lua.
--
-- KEYS, ARGV, what it returns: those of the script that uses it.
--
-- accounts  HASH  account -> "tokens ts conc fails mode until cool probe"; of a gate that nothing holds up
--                 (mode n, no cool-down, no probe), as most are, a byte 1 and the first four packed (QUIET),
--                 which costs a fraction of reading and writing text
--   tokens  what is in the token bucket, as of ts (ms, Redis's clock)
--   conc    requests under way; equal to the account's entries in all claims:<worker> hashes
--   fails   consecutive failures while mode is n
--   mode    n normal, p paused (Retry-After), h held (401/403), b breaker open
--   until   ms; p: the pause's end; h and b: when the next probe may go, or the running probe's deadline
--   cool    ms; h and b: the present cool-down
--   probe   token of the claim that probes, or "-"
-- limits    HASH  account -> "rate burst conc failures cooldown probe_ms ledger_ttl" (configuration)
-- gates     ZSET  account -> ms when its waiting jobs should be looked at again; +inf: when one settles
-- pauses    HASH  account ("" is the queue) -> "until reason" (an operator's pause; until 0: no end)

local QUIET = '<bddI4I4' -- 1, tokens, ts, conc, fails

local gates_seen = {}
local spaced = {} -- accounts whose next look is set already
local limits_by = {} -- text -> limits: many accounts have the same
local NO_LIMITS = { 0, 1, 0, 0, 30000, 60000, 604800000 }
local TTL_MAX = 1e13 -- ms; SET refuses what would overflow

local function limits_read(text)
  local n, i = {}, 0
  for word in string.gmatch(text or '', '%S+') do
    i = i + 1
    n[i] = tonumber(word) or NO_LIMITS[i]
  end
  for missing = i + 1, #NO_LIMITS do n[missing] = NO_LIMITS[missing] end
  local l = { rate = n[1], burst = n[2], conc = n[3], failures = n[4], cooldown = n[5], probe_ms = n[6],
              ledger_ttl = ms(math.min(math.max(n[7], 1), TTL_MAX)) }
  limits_by[text] = l
  return l
end

local function limits_of(key, account)
  local text = call('HGET', key, account)
  return limits_by[text] or limits_read(text)
end

-- The gate as of now, of what is stored (false: nothing is; what can't be read counts as that). A table has
-- room for eight fields or for sixteen.
local function gate_of(text, l)
  local tokens, ts, conc, fails, mode, till, cool, probe, _
  if text and byte(text) == 1 and #text == 25 then
    _, tokens, ts, conc, fails = struct.unpack(QUIET, text)
    mode, till, cool, probe = 'n', 0, 0, '-'
  else
    tokens, ts, conc, fails, mode, till, cool, probe =
      string.match(text or '', '^(%-?[%d.]+) ([%d.]+) (%d+) (%d+) ([nphb]) ([%d.]+) (%d+) (%S+)')
    if tokens then
      tokens, ts, conc, fails, till, cool =
        tonumber(tokens), tonumber(ts), tonumber(conc), tonumber(fails), tonumber(till), tonumber(cool)
    else
      tokens, ts, conc, fails, mode, till, cool, probe = l.burst, now, 0, 0, 'n', 0, 0, '-'
    end
  end
  if l.rate > 0 and now > ts then tokens = math.min(l.burst, tokens + (now - ts) * l.rate / 1000) end
  return { limits = l, tokens = tokens, conc = conc, fails = fails, mode = mode, till = till, cool = cool, probe = probe }
end

local function gate_load(accounts_key, limits_key, account)
  local g = gates_seen[account]
  if g then return g end
  g = gate_of(call('HGET', accounts_key, account), limits_of(limits_key, account))
  gates_seen[account] = g
  return g
end

-- Reads what is stored of several accounts in two calls; a name may stand there twice.
local function gates_fetch(accounts_key, limits_key, list)
  local states = call('HMGET', accounts_key, unpack(list))
  local limits = call('HMGET', limits_key, unpack(list))
  for i = 1, #list do
    local account, text = list[i], limits[i]
    if account ~= '' and not gates_seen[account] then
      gates_seen[account] = gate_of(states[i], limits_by[text] or limits_read(text))
    end
  end
end

-- Writes the gates that were loaded.
local function gates_save(key)
  local fields, n = {}, 0
  for account, g in pairs(gates_seen) do
    fields[n + 1] = account
    if g.mode == 'n' and g.till == 0 and g.cool == 0 and g.probe == '-' then
      fields[n + 2] = struct.pack(QUIET, 1, g.tokens, now, g.conc, g.fails)
    else
      fields[n + 2] = format('%.9f %.3f %.0f %.0f %s %.3f %.0f %s', g.tokens, now, g.conc, g.fails, g.mode, g.till,
        g.cool, g.probe)
    end
    n = n + 2
  end
  if n > 0 then call('HSET', key, unpack(fields)) end
end
