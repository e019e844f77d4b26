-- Account gates, shared by the scripts that say "-- uses: gate". An account's gate decides whether
-- one more request may leave, whatever worker sends it: rate, concurrency, pause, hold, breaker.
--
-- KEYS, ARGV, what it returns: those of the script that uses it.
--
-- accounts  HASH  account -> "tokens ts conc fails mode until cool probe"
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

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + tonumber(time[2]) / 1000

local function ms(n)
  return string.format('%.0f', n)
end

-- When to claim again, by the first of `delayed` and of `gates`: ms, "0" for at once, "-1" where
-- nothing is known to come. Every script that may change it ends its reply with it, so that whoever
-- caused a change knows of it.
local function look_again(delayed_key, gates_key)
  local delayed = redis.call('ZRANGE', delayed_key, 0, 0, 'WITHSCORES')[2]
  local gate = redis.call('ZRANGE', gates_key, 0, 0, 'WITHSCORES')[2]
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
  return pause_end(redis.call('HGET', key, account))
end

-- When a paused account is looked at again: within a second, so that any worker notices its end.
local function paused_look(till)
  return ms(math.ceil(till > 0 and math.min(till, now + 1000) or now + 1000))
end

local limits_seen, gates_seen = {}, {}
local limits_text, gates_text = {}, {} -- of the accounts that gates_fetch read at once
local limits_read = {}                 -- text -> limits: many accounts have the same
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

-- Reads what is stored of several accounts in two calls.
local function gates_fetch(accounts_key, limits_key, list)
  local states = redis.call('HMGET', accounts_key, unpack(list))
  local limits = redis.call('HMGET', limits_key, unpack(list))
  for i, account in ipairs(list) do
    gates_text[account], limits_text[account] = states[i], limits[i]
  end
end

local function limits_of(key, account)
  local l = limits_seen[account]
  if l then return l end
  local text = limits_text[account]
  if text == nil then text = redis.call('HGET', key, account) end
  l = limits_read[text]
  if not l then
    local n = numbers(text, NO_LIMITS)
    l = { rate = n[1], burst = n[2], conc = n[3], failures = n[4], cooldown = n[5], probe_ms = n[6],
          ledger_ttl = ms(math.min(math.max(n[7], 1), TTL_MAX)) }
    limits_read[text] = l
  end
  limits_seen[account] = l
  return l
end

-- Beside what is stored: flags of the script that uses it, here so that setting one does not grow the table.
local function gate_of(tokens, ts, conc, fails, mode, till, cool, probe)
  return { tokens = tokens, ts = ts, conc = conc, fails = fails, mode = mode, till = till, cool = cool, probe = probe,
           dirty = false, touched = false, was = false, spaced = false, given = 0 }
end

local function gate_parse(text)
  local t, s, c, f = string.match(text, '^(%-?[%d.]+) ([%d.]+) (%d+) (%d+) n 0 0 %-$')
  if t then return gate_of(tonumber(t), tonumber(s), tonumber(c), tonumber(f), 'n', 0, 0, '-') end
  local m, u, o, p
  t, s, c, f, m, u, o, p = string.match(text, '^(%-?[%d.]+) ([%d.]+) (%d+) (%d+) ([nphb]) ([%d.]+) (%d+) (%S+)')
  if not t then return nil end
  return gate_of(tonumber(t), tonumber(s), tonumber(c), tonumber(f), m, tonumber(u), tonumber(o), p)
end

local function gate_load(key, account, l)
  local g = gates_seen[account]
  if g then return g end
  local text = gates_text[account]
  if text == nil then text = redis.call('HGET', key, account) end
  g = gate_parse(text or '')
  if not g then
    g = gate_of(l.burst, now, 0, 0, 'n', 0, 0, '-')
  end
  if l.rate > 0 and now > g.ts then
    g.tokens = math.min(l.burst, g.tokens + (now - g.ts) * l.rate / 1000)
  end
  g.ts = now
  gates_seen[account] = g
  return g
end

local now_text = string.format('%.3f', now) -- what every gate's ts is when it is written

-- A gate as it is stored. A quiet one, as most are, costs no formatting but that of its tokens.
local function gate_text(g, l)
  local tokens = l.rate > 0 and string.format('%.9f', g.tokens) or math.floor(g.tokens)
  if g.mode == 'n' and g.till == 0 and g.cool == 0 and g.probe == '-' then
    return tokens .. ' ' .. now_text .. ' ' .. g.conc .. ' ' .. g.fails .. ' n 0 0 -'
  end
  return tokens .. string.format(' %s %.0f %.0f %s %.3f %.0f %s', now_text, g.conc, g.fails, g.mode, g.till, g.cool,
    g.probe)
end

-- Writes the gates that were loaded, if `changed` says so of them.
local function gates_save(key, changed)
  local fields, n = {}, 0
  for account, g in pairs(gates_seen) do
    if not changed or changed(g) then
      fields[n + 1] = account
      fields[n + 2] = gate_text(g, limits_seen[account])
      n = n + 2
    end
  end
  if n > 0 then redis.call('HSET', key, unpack(fields)) end
end

-- Milliseconds until it is worth looking again: the next token; at a high rate some more of them, as long
-- as the bucket is not near full by then, so that none is lost.
local function token_wait(g, l)
  local one, full = (1 - g.tokens) * 1000 / l.rate, (l.burst - g.tokens) * 1000 / l.rate
  return math.max(one, math.min(LOOK_MS, full / 2))
end

-- nil: one more request may leave now. Else why not, and when to look again (ms, or '+inf').
local function gate_closed(g, l)
  if g.mode == 'p' and now >= g.till then g.mode = 'n' end
  if g.mode ~= 'n' and now < g.till then return g.mode, ms(math.ceil(g.till)) end
  if l.conc > 0 and g.conc >= l.conc then return 'c', '+inf' end
  if l.rate > 0 and g.tokens < 1 then return 'r', ms(math.ceil(now + token_wait(g, l))) end
  return nil
end

-- The same for a claim that has passed the gate already, when it was claimed: the account may have been
-- stopped since, or its slots been taken.
local function gate_closed_behind(g, l, token)
  if g.mode == 'p' and now >= g.till then g.mode = 'n' end
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

-- How many more may leave now: for claiming waiting jobs.
local function gate_room(g, l)
  if gate_closed(g, l) then return 0 end
  if g.mode ~= 'n' then return 1 end
  local n = math.huge
  if l.conc > 0 then n = math.min(n, l.conc - g.conc) end
  if l.rate > 0 then n = math.min(n, math.floor(g.tokens)) end
  return n
end

-- Sets when the account's waiting jobs are looked at again; they stay in FIFO order in `waiting`.
local function gate_schedule(gates_key, account, g, l)
  local why, at = gate_closed(g, l)
  redis.call('ZADD', gates_key, 'XX', why and at or ms(math.floor(now)), account)
end

-- The same for all loaded gates that have jobs waiting, but for those that `skip` says.
local function gates_schedule(gates_key, skip)
  local list = {}
  for account, g in pairs(gates_seen) do
    if not (skip and skip(g)) then list[#list + 1] = account end
  end
  if #list == 0 then return end
  for i, score in ipairs(redis.call('ZMSCORE', gates_key, unpack(list))) do
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
