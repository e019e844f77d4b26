-- Account gates, shared by the scripts that say "-- uses: gate" (after kinds). An account's gate decides whether
-- one more request may leave, whatever worker sends it: rate, concurrency, pause, hold, breaker.
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

local MAX_COOL = 16 -- a cool-down doubles up to so many times the configured one
local LOOK_MS = 10  -- between two looks at an account that has more tokens a second than looks are worth

local QUIET = '<bddI4I4' -- 1, tokens, ts, conc, fails

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + tonumber(time[2]) / 1000
local format, byte = string.format, string.byte

local function ms(n)
  return format('%.0f', n)
end

-- When to claim again, by the first of `delayed` and of `gates`: ms, "0" for at once, "-1" where
-- nothing is known to come. Every script that may change it ends its reply with it, so that whoever
-- caused a change knows of it. Nil for a key that is known to be empty.
local function look_again(delayed_key, gates_key)
  local delayed = delayed_key and call('ZRANGE', delayed_key, 0, 0, 'WITHSCORES')[2]
  local gate = gates_key and call('ZRANGE', gates_key, 0, 0, 'WITHSCORES')[2]
  local at = math.min(tonumber(delayed) or math.huge, gate ~= 'inf' and tonumber(gate) or math.huge)
  if at == math.huge then return '-1' end
  return at <= now and '0' or ms(math.ceil(at))
end

-- Until when an operator's pause lasts, given its text: ms, 0 without end, nil if there is none. What
-- cannot be read counts as a pause: somebody wanted one.
local function pause_end(text)
  if not text then return nil end
  local till = tonumber(string.match(text, '^%d+')) or 0
  if till > 0 and till <= now then return nil end
  return till
end

-- The same of an account, or of the queue ("").
local function paused_till(key, account)
  return pause_end(call('HGET', key, account))
end

-- When a paused account is looked at again: within a second, so that any worker notices its end.
local function paused_look(till)
  return ms(math.ceil(till > 0 and math.min(till, now + 1000) or now + 1000))
end

local limits_seen, gates_seen = {}, {}
local limits_by = {} -- text -> limits: many accounts have the same
local NO_LIMITS = { 0, 1, 0, 0, 30000, 60000, 604800000 }
local TTL_MAX = 1e13 -- ms; SET refuses what would overflow

-- The numbers of a text; `defaults` where one is missing or unreadable.
local function numbers(text, defaults)
  local list = {}
  for word in string.gmatch(text or '', '%S+') do
    list[#list + 1] = tonumber(word) or defaults[#list + 1]
  end
  for i = #list + 1, #defaults do list[i] = defaults[i] end
  return list
end

local function limits_read(text)
  local n = numbers(text, NO_LIMITS)
  local l = { rate = n[1], burst = n[2], conc = n[3], failures = n[4], cooldown = n[5], probe_ms = n[6],
              ledger_ttl = ms(math.min(math.max(n[7], 1), TTL_MAX)) }
  limits_by[text] = l
  return l
end

local function limits_of(key, account)
  local l = limits_seen[account]
  if l then return l end
  local text = call('HGET', key, account)
  l = limits_by[text] or limits_read(text)
  limits_seen[account] = l
  return l
end

-- Eight fields, which is what a table of its size holds. `changed`: it is to be written.
local function gate_of(tokens, conc, fails, mode, till, cool, probe)
  return { tokens = tokens, conc = conc, fails = fails, mode = mode, till = till, cool = cool, probe = probe,
           changed = false }
end

-- The gate, and as of when; nil where it can't be read.
local function gate_parse(text)
  if byte(text) == 1 and #text == 25 then
    local _, tokens, ts, conc, fails = struct.unpack(QUIET, text)
    return gate_of(tokens, conc, fails, 'n', 0, 0, '-'), ts
  end
  local t, s, c, f, m, u, o, p =
    string.match(text, '^(%-?[%d.]+) ([%d.]+) (%d+) (%d+) ([nphb]) ([%d.]+) (%d+) (%S+)')
  if not t then return nil end
  return gate_of(tonumber(t), tonumber(c), tonumber(f), m, tonumber(u), tonumber(o), p), tonumber(s)
end

-- The gate as of now, of what is stored (false: nothing is).
local function gate_now(text, l)
  local g, ts = gate_parse(text or '')
  if not g then return gate_of(l.burst, 0, 0, 'n', 0, 0, '-') end
  if l.rate > 0 and now > ts then g.tokens = math.min(l.burst, g.tokens + (now - ts) * l.rate / 1000) end
  return g
end

local function gate_load(key, account, l)
  local g = gates_seen[account]
  if g then return g end
  g = gate_now(call('HGET', key, account), l)
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
      local l = limits_by[text] or limits_read(text)
      limits_seen[account], gates_seen[account] = l, gate_now(states[i], l)
    end
  end
end

-- A gate as it is stored.
local function gate_text(g)
  if g.mode == 'n' and g.till == 0 and g.cool == 0 and g.probe == '-' then
    return struct.pack(QUIET, 1, g.tokens, now, g.conc, g.fails)
  end
  return format('%.9f %.3f %.0f %.0f %s %.3f %.0f %s', g.tokens, now, g.conc, g.fails, g.mode, g.till, g.cool, g.probe)
end

-- Writes the gates that were loaded; with `only`, those that are marked as changed.
local function gates_save(key, only)
  local fields, n = {}, 0
  for account, g in pairs(gates_seen) do
    if g.changed or not only then
      fields[n + 1] = account
      fields[n + 2] = gate_text(g)
      n = n + 2
    end
  end
  if n > 0 then call('HSET', key, unpack(fields)) end
end

-- Milliseconds until it is worth looking again: the next token; at a high rate some more of them, as long
-- as the bucket is not near full by then, so that none is lost.
local function token_wait(g, l)
  local one, full = (1 - g.tokens) * 1000 / l.rate, (l.burst - g.tokens) * 1000 / l.rate
  return math.max(one, math.min(LOOK_MS, full / 2))
end

-- nil: one more request may leave now. Else why not, and when to look again (ms, or '+inf').
local function gate_closed(g, l)
  if g.mode == 'p' and now >= g.till then g.mode, g.till = 'n', 0 end
  if g.mode ~= 'n' and now < g.till then return g.mode, ms(math.ceil(g.till)) end
  if l.conc > 0 and g.conc >= l.conc then return 'c', '+inf' end
  if l.rate > 0 and g.tokens < 1 then return 'r', ms(math.ceil(now + token_wait(g, l))) end
  return nil
end

-- The same for a claim that has passed the gate already, when it was claimed: the account may have been
-- stopped since, or its slots been taken.
local function gate_closed_behind(g, l, token)
  if g.mode == 'p' and now >= g.till then g.mode, g.till = 'n', 0 end
  if g.mode ~= 'n' and g.probe ~= token then return g.mode end
  if l.conc > 0 and g.conc >= l.conc then return 'c' end
  return nil
end

-- One request of claim `token` leaves: a token goes, and where the gate is held it is the one probe.
local function gate_take_token(g, l, token)
  if l.rate > 0 then g.tokens = g.tokens - 1 end
  if g.mode == 'h' or g.mode == 'b' then
    g.probe = token
    g.till = now + l.probe_ms
  end
end

-- How many more may leave now: for claiming waiting jobs. `given`: those of this script, which have taken
-- their tokens and are not begun yet.
local function gate_room(g, l, given)
  if gate_closed(g, l) then return 0 end
  if g.mode ~= 'n' then return 1 end
  local n = math.huge
  if l.conc > 0 then n = math.min(n, math.max(0, l.conc - g.conc - given)) end
  if l.rate > 0 then n = math.min(n, math.floor(g.tokens)) end
  return n
end

-- Sets when the account's waiting jobs are looked at again; they stay in FIFO order in `waiting`.
local function gate_schedule(gates_key, account, g, l)
  local why, at = gate_closed(g, l)
  call('ZADD', gates_key, 'XX', why and at or ms(math.floor(now)), account)
end

-- The same for all loaded gates that have jobs waiting, but for the accounts in `skip`.
local function gates_schedule(gates_key, skip)
  local list = {}
  for account in pairs(gates_seen) do
    if not (skip and skip[account]) then list[#list + 1] = account end
  end
  if #list == 0 then return end
  for i, score in ipairs(call('ZMSCORE', gates_key, unpack(list))) do
    if score then gate_schedule(gates_key, list[i], gates_seen[list[i]], limits_seen[list[i]]) end
  end
end

-- What becomes of an account, by the modes before and after: told to the worker whose settlement did
-- it, which logs it, and counted under the same name.
local TURNS = { nb = 'breaker_opened', pb = 'breaker_opened', hb = 'breaker_opened', bn = 'breaker_closed',
                bp = 'breaker_closed', nh = 'account_held', ph = 'account_held', bh = 'account_held',
                hn = 'account_released', hp = 'account_released', np = 'account_paused' }

-- What the end of a request says of its account.
--   s   the provider answered sensibly       f   it answered, but failed (5xx)
--   t   no answer                            p   paused for `arg` ms         h   credentials refused
--   -   nothing was learned (never sent)
local function gate_learn(g, l, effect, arg, token, jitter)
  local probing = g.probe == token
  if probing then g.probe = '-' end
  if effect == 's' or (effect == 'f' and g.mode == 'h' and probing) then
    if probing or g.mode == 'n' then
      g.mode, g.fails, g.cool, g.till = (g.mode == 'p' and 'p' or 'n'), 0, 0, (g.mode == 'p' and g.till or 0)
    end
    if effect == 's' then return end
  end
  if effect == 'p' then
    if g.mode == 'n' or g.mode == 'p' or probing then
      g.till = (g.mode == 'p') and math.max(g.till, now + arg) or (now + arg)
      g.mode, g.fails, g.cool = 'p', 0, 0
    end
  elseif effect == 'h' then
    if g.mode ~= 'h' then g.cool = l.cooldown
    elseif probing then g.cool = math.min(g.cool * 2, l.cooldown * MAX_COOL) end
    if g.mode ~= 'h' or probing then g.mode, g.till = 'h', now + g.cool * (1 + jitter / 4) end
  elseif effect == 'f' or effect == 't' then
    if probing and g.mode ~= 'n' then
      g.cool = math.min(math.max(g.cool, 1) * 2, l.cooldown * MAX_COOL)
      g.till = now + g.cool * (1 + jitter / 4)
    elseif g.mode == 'n' then
      g.fails = g.fails + 1
      if l.failures > 0 and g.fails >= l.failures then
        g.mode, g.cool, g.till = 'b', l.cooldown, now + l.cooldown * (1 + jitter / 4)
      end
    end
  elseif effect == '-' and probing then
    g.till = now
  end
end
