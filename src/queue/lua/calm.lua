-- A turn of which nothing is out of the ordinary, as most are: its orders were created, what it begins are orders to be
-- sent, and no gate stands in the way. It does so in 16 commands and one per settlement, without functions; what follows
-- it in turn.lua does the same for whatever comes up. Either it does all of the turn and returns, or nothing, and the rest
-- of turn.lua does it. A part of turn.lua ("-- uses: calm").
-- KEYS, ARGV, what it returns: turn.lua's. The worker says by a bit that the turn may be calm: all it settles are
-- done and created, with a result for the queue's own list, of requests that had begun and taught nothing but that the
-- provider is well; all it begins are orders to be sent that have not passed a gate yet; of no account the limits are
-- unknown; nothing is sent again or in doubt; no order key that begins is another's that begins or ends.
-- Packed as in gate.lua (QUIET, LIMITS) and fence.lua (FENCE), which are not there yet.

repeat -- left by `break` where it is not calm
  -- What is due, waits, was picked up or is paused, and gates: mostly there is nothing of it.
  local accounts_n, next = settle_runs + begin_runs, '-1'
  local others = call('EXISTS', delayed_key, parked_key, waiting_key, gates_key, pauses_key, taken_key, accounts_key)
  local states = others > 0 and accounts_n > 0 and try('HMGET', accounts_key, unpack(argv, ACCOUNTS + 1, ACCOUNTS + accounts_n)) or {}
  if states.err then break end
  if others > 1 or (others == 1 and call('EXISTS', accounts_key) == 0) then
    local due, looks = try('ZCOUNT', delayed_key, '-inf', ms(now)), try('ZCOUNT', gates_key, '-inf', ms(now))
    if due ~= 0 or looks ~= 0 or try('HLEN', pauses_key) ~= 0 or try('LLEN', taken_key) ~= 0 then break end
    if type(try('HLEN', parked_key)) == 'table' or type(try('ZCARD', waiting_key)) == 'table' then break end
    local waiting = accounts_n > 0 and call('ZMSCORE', gates_key, unpack(argv, ACCOUNTS + 1, ACCOUNTS + accounts_n)) or {}
    local clear = true
    for i = 1, accounts_n do clear = clear and not waiting[i] end
    if not clear then break end
    -- uses: look
    next = look_again(delayed_key, gates_key)
  end

  -- The lease, and whether claims are as the worker knows them (fence.lua); one counter for all.
  local counter = settle_n > 0 and sub(argv[OPS + 1], 4)
  local state = try('HMGET', stats_key, 'seq', 'taken', 'limits', 'turn:' .. argv[1], 'settled', 'results', counter or 'seq')
  local number, fresh, field = tonumber(state[1] or 0), tonumber(state[2] or 0), state[4]
  if not number or number == 0 or not fresh or not field or #field ~= 16 then break end
  local ran, unsure = struct.unpack('<dd', field)
  if turn <= ran or ran < answered or lowest <= unsure then break end
  if accounts_n > 0 and state[3] ~= argv[4] then break end
  local lease = tonumber(try('ZSCORE', workers_key, argv[1]))
  if not lease or lease <= now then break end
  local held, begun = try('HLEN', inflight_key), try('HLEN', claims_key)
  local there = claims and try('LLEN', jobs_key) or 0
  if type(held) == 'table' or type(begun) == 'table' or type(there) == 'table' then break end
  if claims and high_water > 0 then
    local unread = try('LLEN', results_key)
    if type(unread) == 'table' or unread + settle_n >= high_water then break end
  end

  local calm = true
  for i = 2, ops_n do calm = calm and sub(argv[OPS + i], 4) == counter end
  local limits = {}
  for i = 1, limits_n do
    local text = argv[LIMITS_AT + i]
    if byte(text) ~= 1 then calm = false break end
    local _, rate, burst, conc = struct.unpack('<bddd', text)
    limits[i] = { rate = rate, burst = burst, conc = conc, ledger_ttl = sub(text, 50) }
  end
  if not calm then break end

  -- Requests that ended free their places, requests that begin take them, as long as all of them can.
  local gates, dirty = nil, 0 -- account -> { tokens, requests under way }, and how many
  local counts = false -- of one that begins
  for r = 1, accounts_n do
    local length, at, what = byte(runs, 3 * r - 2, 3 * r)
    local l, stored, begins = limits[at], states[r], r > settle_runs
    if not l or (stored and (#stored ~= 25 or byte(stored) ~= 1 or sub(stored, 22) ~= '\0\0\0\0')) then calm = false break end
    if begins and (l.rate > 0 or l.conc > 0) or not begins and byte(argv[OPS + what], 3) == 99 then -- c: counted
      local account = argv[ACCOUNTS + r]
      gates = gates or {}
      local g = gates[account]
      if not g then
        g = { l.burst, 0 }
        if stored then
          local _, tokens, ts, conc = struct.unpack('<bddI4', stored)
          if l.rate > 0 and now > ts then tokens = math.min(l.burst, tokens + (now - ts) * l.rate / 1000) end
          g[1], g[2] = tokens, conc
        end
        gates[account], dirty = g, dirty + 1
      end
      if not begins then
        g[2] = math.max(0, g[2] - length)
      else
        if (l.rate > 0 and g[1] < length) or (l.conc > 0 and g[2] + length > l.conc) then calm = false break end
        if l.rate > 0 then g[1] = g[1] - length end
        if l.conc > 0 then g[2], counts = g[2] + length, true end
      end
    end
  end
  if not calm then break end

  -- The first write may be refused (turn.lua says when), the others then not. Each order key must be free; of those
  -- that begin and those that end none is another's (the worker has looked).
  local first, keys_at = ACCOUNTS + accounts_n, FIXED + settle_n -- before the tokens to begin; before their keys
  local fence, letters, begin_claims = struct.pack('<dd', turn, unsure), nil, nil
  if begin_n > 0 then
    local entries, i, start = {}, 0, prefix_n + 1
    letters, begin_claims = {}, {}
    for r = settle_runs + 1, accounts_n do
      local length, at = byte(runs, 3 * r - 2, 3 * r - 1)
      local kind = limits[at].conc > 0 and 'P' or 'p'
      if counts then letters[#letters + 1] = string.rep(kind == 'P' and 'C' or 'G', length) end
      for _ = 1, length do
        i = i + 1
        local key = keys[keys_at + i]
        entries[2 * i - 1], entries[2 * i] = key, argv[first + begin_n + i]
        begin_claims[2 * i - 1], begin_claims[2 * i] = argv[first + i], kind .. sub(key, start)
      end
    end
    letters = counts and concat(letters) or string.rep('G', begin_n)
    if try('MSETNX', unpack(entries)) ~= 1 then break end
  end
  if settle_n > 0 then
    local pushed = try('LPUSH', results_key, unpack(argv, SETTLE_AT + settle_n + 1, SETTLE_AT + 2 * settle_n))
    if type(pushed) == 'table' then
      if begin_n > 0 then call('DEL', unpack(keys, keys_at + 1, keys_at + begin_n)) end
      break
    end
  elseif begin_n == 0 and type(try('HSET', stats_key, 'turn:' .. argv[1], fence)) == 'table' then
    break
  end

  if settle_n > 0 then
    local i = 0
    for r = 1, settle_runs do
      local length, at = byte(runs, 3 * r - 2, 3 * r - 1)
      local ttl = limits[at].ledger_ttl
      for _ = 1, length do
        i = i + 1
        call('SET', keys[FIXED + i], argv[SETTLE_AT + 2 * settle_n + i], 'PX', ttl)
      end
    end
    call('HDEL', inflight_key, unpack(argv, SETTLE_AT + 1, SETTLE_AT + settle_n))
    call('HDEL', claims_key, unpack(argv, SETTLE_AT + 1, SETTLE_AT + settle_n))
  end
  if begin_n > 0 then
    -- begin.lua says why.
    local list = begun <= settle_n and begin_n >= 8
    if list then call('HSET', claims_key, string.rep('-', 65), '') end
    call('HSET', claims_key, unpack(begin_claims))
    if list then call('HDEL', claims_key, string.rep('-', 65)) end
  end

  local records, count = claims and { 'OK', ms(number), time[2], '' }, 0
  if there > 0 then
    local TOKEN, fields, bytes, longest, some, got = '%d.' .. time[2] .. 'f', {}, 0, 1, pop_n, nil
    repeat
      -- What doesn't fit goes back; nobody knows how long they are (claim.lua).
      local want = math.min(some, claim_n - count)
      local texts = call('RPOP', jobs_key, want) or {}
      got = #texts
      for i = 1, got do
        local text = texts[i]
        if bytes >= room_bytes then
          for k = got, i, -1 do call('RPUSH', jobs_key, texts[k]) end
          break
        end
        count, bytes, longest = count + 1, bytes + #text, math.max(longest, #text)
        records[4 + count] = text
        fields[2 * count - 1], fields[2 * count] = format(TOKEN, number + count), text
      end
      some = math.max(1, math.floor((room_bytes - bytes) / longest))
    until got < want or count == claim_n or bytes >= room_bytes
    call('HSET', inflight_key, unpack(fields))
    records[4] = string.rep('f', count)
  end

  if dirty > 0 then
    local fields, n = {}, 0
    for account, g in pairs(gates) do
      fields[n + 1], fields[n + 2] = account, struct.pack('<bddI4I4', 1, g[1], now, g[2], 0)
      n = n + 2
    end
    call('HSET', accounts_key, unpack(fields))
  end
  if settle_n > 0 then
    call('HSET', stats_key, 'turn:' .. argv[1], fence, 'seq', ms(number + count), 'taken', ms(fresh + count),
      'settled', ms((tonumber(state[5]) or 0) + settle_n), 'results', ms((tonumber(state[6]) or 0) + settle_n),
      counter, ms((tonumber(state[7]) or 0) + settle_n))
  elseif begin_n > 0 or count > 0 then
    call('HSET', stats_key, 'turn:' .. argv[1], fence, 'seq', ms(number + count), 'taken', ms(fresh + count))
  end
  return { ms(now), next, settle_n > 0 and { string.rep('O', settle_n) }, begin_n > 0 and { letters }, records }
until true
