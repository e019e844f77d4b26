-- Account gates and limits as they are stored, shared by the scripts that say "-- uses: gate" (after types and clock). An
-- account's gate decides whether one more request may leave, whatever worker sends it: rate, concurrency, pause, hold,
-- breaker. Who may leave: gate_pass.lua; what an answer teaches: gate_learn.lua.
--
-- KEYS, ARGV, what it returns: those of the script that uses it.
--
-- accounts  HASH  account -> a byte 1, tokens, ts, conc, fails (HEAD); then, only where something holds the account up or is
--                 to be remembered of it: mode, until, cool, refused (TAIL) and "<probe> <code>". Nothing is stored of an
--                 account that never had anything to store: one without limits whose requests never failed.
--   tokens  what is in the token bucket, as of ts (ms, Redis's clock)
--   conc    requests under way that were begun while the account had a limit of them; equal to its counted
--           entries in all claims:<worker> hashes
--   fails   consecutive failures while mode is n
--   mode    n normal, p paused (Retry-After), h held (401/403), b breaker open
--   until   ms; p: the pause's end; h and b: when the next probe may go, or the running probe's deadline
--   cool    ms; h and b: the present cool-down; n and p: the last pause of a 429 that named no time, 0 once an answer
--           was sensible
--   refused orders in a row that the provider refused with one code; mode h: 0 where the account itself is refused
--   probe   number of the claim that probes (claims.lua), or "-"
--   code    the code of these refusals, or the one with which the account itself is refused; or "-"
-- limits    HASH  account -> what its configuration allows (LIMITS), then the ledger's time to live, ms, in digits
-- gates     ZSET  account -> ms when its waiting jobs should be looked at again; +inf: when one settles
-- pauses    HASH  account ("" is the queue) -> "until reason" (an operator's pause; until 0: no end)
--
-- A gate in a script is a table of these fields (`till` is until), with `limits`. `dirty`: it is to be written. `clean`: nothing
-- is known of it that the end of a good request could change.

local HEAD, HEAD_SIZE = '<BddI4I4', 25
local TAIL, TAIL_SIZE = '<c1ddI4', 21
local LIMITS, LIMITS_SIZE = '<Bddddddd', 57 -- 1, then rate, burst, conc, failures, cooldown, probe_ms, rejects
local TTL_DIGITS = 13                       -- at most: Redis refuses what would overflow
-- What is not set of a gate.
local NORMAL = { __index = { conc = 0, fails = 0, mode = 'n', till = 0, cool = 0, refused = 0, probe = '-', code = '-' } }

local gates = {}     -- account -> gate: those that this script has read
local spaced = {}    -- accounts whose next look is set already (gate_pass.lua)
local limits_by = {} -- text -> limits: many accounts have the same

-- What can't be read counts as no limit.
local function limits_of(text)
  text = text or ''
  local l = limits_by[text]
  if l then return l end
  l = { rate = 0, burst = 1, conc = 0, failures = 0, cooldown = 30000, probe_ms = 60000, rejects = 0, ledger_ttl = '604800000' }
  local ttl = byte(text) == 1 and string.match(text, '^[1-9]%d*$', LIMITS_SIZE + 1)
  if ttl and #ttl <= TTL_DIGITS then
    local _
    _, l.rate, l.burst, l.conc, l.failures, l.cooldown, l.probe_ms, l.rejects = struct.unpack(LIMITS, text)
    l.ledger_ttl = ttl
  end
  limits_by[text] = l
  return l
end

-- The gate as of now, of what is stored (false: nothing is; what can't be read counts as that).
local function gate_of(stored, l)
  local g = setmetatable({ limits = l, tokens = l.burst, clean = true }, NORMAL)
  if not stored or #stored < HEAD_SIZE or byte(stored) ~= 1 then return g end
  local _, tokens, ts, conc, fails = struct.unpack(HEAD, stored)
  if l.rate > 0 and now > ts then tokens = math.min(l.burst, tokens + (now - ts) * l.rate / 1000) end
  g.tokens, g.conc, g.fails, g.clean = tokens, conc, fails, fails == 0
  if #stored > HEAD_SIZE + TAIL_SIZE then
    local at
    g.clean = false
    g.mode, g.till, g.cool, g.refused, at = struct.unpack(TAIL, stored, HEAD_SIZE + 1)
    g.probe, g.code = string.match(stored, '^(%S+) (%S+)$', at)
  end
  return g
end

-- Nothing holds it up, and nothing is to be remembered of it but its failures.
local function gate_quiet(g)
  return g.mode == 'n' and g.refused == 0 and g.cool == 0 and g.till == 0 and g.probe == '-'
end

-- Writes the gates that have changed.
local function gates_save(key)
  local fields, n = {}, 0
  for account, g in pairs(gates) do
    if g.dirty then
      local text = struct.pack(HEAD, 1, g.tokens, now, g.conc, g.fails)
      if not gate_quiet(g) then
        text = text .. struct.pack(TAIL, g.mode, g.till, g.cool, g.refused) .. g.probe .. ' ' .. g.code
      end
      fields[n + 1], fields[n + 2], n = account, text, n + 2
    end
  end
  if n > 0 then call('HSET', key, unpack(fields)) end
end
