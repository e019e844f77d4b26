-- What is stored of limits and gates, shared by the scripts that say "-- uses: gate_read" (after gate).
-- KEYS, ARGV, what it returns: those of the script that uses it.

-- Of a worker's packed limits (LIMITS, then the time to live as text) or the text in `limits`. What can't be read
-- counts as no limit.
local function limits_of(text)
  local l = limits_by[text]
  if l then return l end
  local rate, burst, conc, failures, cooldown, probe_ms, rejects, ttl
  if text and byte(text) == 1 then
    local _
    _, rate, burst, conc, failures, cooldown, probe_ms, rejects = struct.unpack(LIMITS, text)
    ttl = string.sub(text, 58)
  else
    rate, burst, conc, failures, cooldown, probe_ms, rejects, ttl =
      string.match(text or '', '^(%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%d+)$')
    rate, burst, conc = tonumber(rate or 0) or 0, tonumber(burst or 1) or 1, tonumber(conc or 0) or 0
    failures, cooldown, probe_ms = tonumber(failures or 0) or 0, tonumber(cooldown or 30000) or 30000, tonumber(probe_ms or 60000) or 60000
    rejects = tonumber(rejects or 0) or 0
    if not ttl or byte(ttl) == 48 or #ttl > 13 then -- at most 1e13: SET refuses what would overflow
      ttl = ms(math.min(math.max(tonumber(ttl or 604800000), 1), 1e13))
    end
  end
  l = { rate = rate, burst = burst, conc = conc, failures = failures, cooldown = cooldown, probe_ms = probe_ms, rejects = rejects,
        ledger_ttl = ttl }
  if text then limits_by[text] = l end
  return l
end

-- The gate as of now, of what is stored (false: nothing is; what can't be read counts as that).
local function gate_of(text, l)
  local g
  if text and byte(text) == 1 and #text == 25 then
    local _, tokens, ts, conc, fails = struct.unpack(QUIET, text)
    if l.rate > 0 and now > ts then tokens = math.min(l.burst, tokens + (now - ts) * l.rate / 1000) end
    return { limits = l, tokens = tokens, conc = conc, fails = fails, dirty = false }
  end
  local tokens, ts, conc, fails, mode, till, cool, probe, refused, code =
    string.match(text or '', '^(%-?[%d.]+) ([%d.]+) (%d+) (%d+) ([nphb]) ([%d.]+) (%d+) (%S+) ?(%d*) ?(%S*)')
  if not tokens then
    if l.rate > 0 or l.conc > 0 then return { limits = l, tokens = l.burst, conc = 0, fails = 0, dirty = false } end
    g = l.open or { limits = l, tokens = l.burst, conc = 0, fails = 0 }
    l.open = g
    return g
  end
  g = { limits = l, tokens = tonumber(tokens), conc = tonumber(conc), fails = tonumber(fails), dirty = false }
  till, cool, ts, refused = tonumber(till), tonumber(cool), tonumber(ts), tonumber(refused) or 0
  if mode ~= 'n' or till > 0 or cool > 0 or probe ~= '-' or refused > 0 then
    g.mode, g.till, g.cool, g.probe, g.refused, g.code = mode, till, cool, probe, refused, code ~= '' and code or '-'
  end
  if l.rate > 0 and now > ts then g.tokens = math.min(l.burst, g.tokens + (now - ts) * l.rate / 1000) end
  return g
end
