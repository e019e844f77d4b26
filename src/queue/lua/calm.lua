-- A turn of which nothing is out of the ordinary, as most are: its orders were created, what it begins are orders to be
-- sent, and no gate stands in the way. It does so in some twenty commands, and one per settlement where the results do not go ahead, without functions; what follows
-- it in turn.lua does the same for whatever comes up. Either it does all of the turn and returns, or nothing, and the rest
-- of turn.lua does it. A part of turn.lua ("-- uses: calm").
-- KEYS, ARGV, what it returns: turn.lua's. The worker says by a bit that the turn may be calm: all it settles are
-- done and created, with a result for the queue's own list, of requests that had begun and taught nothing but that the
-- provider is well; all it begins are orders to be sent that have not passed a gate yet; of no account the limits are
-- unknown; nothing is sent again or in doubt; no order key that begins is another's that begins or ends.
-- Packed as in gate.lua (QUIET, LIMITS) and fence.lua (FENCE), which are not there yet.

repeat -- left by `break` where it is not calm
  -- What the accounts may do; mostly all of them the same.
  local limited, rates, bursts, concs, ttls, unpack_gate, pack_gate = false, {}, {}, {}, {}, struct.unpack, struct.pack
  for i = 1, limits_n do
    local text, _ = argv[LIMITS_AT + i], nil
    if byte(text) ~= 1 then limited = nil break end
    _, rates[i], bursts[i], concs[i] = unpack_gate('<bddd', text)
    limited, ttls[i] = limited or rates[i] > 0 or concs[i] > 0, sub(text, 58)
  end
  if limited == nil then break end

  local calm, counted, ends_counted = true, {}, false -- counted: by op, whether its requests are among those of their account
  local counter = settle_n > 0 and sub(argv[OPS + 1], 4) -- one for all
  for i = 1, ops_n do
    local op = argv[OPS + i]
    calm, counted[i] = calm and sub(op, 4) == counter, byte(op, 3) == 99 -- c
    ends_counted = ends_counted or counted[i]
  end
  if not calm then break end

  -- What is due, waits, was picked up or is paused, gates, accounts in trouble, and the bundle to be made: mostly there is
  -- nothing of it.
  local accounts_n, next, unwell = settle_runs + begin_runs, '-1', false
  local name = bundle > 0 and sub(jobs_key, 1, -5) .. 'bundle:' .. argv[1] .. ':' .. bundle
  if call('EXISTS', delayed_key, parked_key, waiting_key, gates_key, pauses_key, taken_key, unwell_key, name or taken_key) > 0 then
    local due, looks = try('ZCOUNT', delayed_key, '-inf', ms(now)), try('ZCOUNT', gates_key, '-inf', ms(now))
    if due ~= 0 or looks ~= 0 or try('HLEN', pauses_key) ~= 0 or try('LLEN', taken_key) ~= 0 then break end
    if type(try('HLEN', parked_key)) == 'table' or type(try('ZCARD', waiting_key)) == 'table' then break end
    local waiting = accounts_n > 0 and call('ZMSCORE', gates_key, unpack(argv, ACCOUNTS + 1, ACCOUNTS + accounts_n)) or {}
    local clear = true
    for i = 1, accounts_n do clear = clear and not waiting[i] end
    if not clear then break end
    unwell = call('EXISTS', unwell_key) == 1
    if name and call('EXISTS', name) == 1 then name = false end
    -- uses: look
    next = look_again(delayed_key, gates_key)
  end
  -- The gates of ends that are not counted, and of accounts without limits, say nothing but whether they are in trouble.
  local from, to = settle_runs, settle_runs -- behind which run, and up to which, gates are looked at
  if unwell or ends_counted then from = 0 end
  if unwell or limited then to = accounts_n end
  local states = from < to and try('HMGET', accounts_key, unpack(argv, ACCOUNTS + from + 1, ACCOUNTS + to)) or {}
  if states.err then break end

  -- The lease, and whether claims are as the worker knows them (fence.lua).
  local state = try('HMGET', stats_key, 'seq', 'taken', 'limits', 'turn:' .. argv[1], 'settled', 'results', counter or 'seq')
  local number, fresh, field = tonumber(state[1] or 0), tonumber(state[2] or 0), state[4]
  if not number or number == 0 or not fresh or not field or #field ~= 16 then break end
  local ran, unsure = struct.unpack('<dd', field)
  if turn <= ran or ran < answered or lowest <= unsure then break end
  if accounts_n > 0 and state[3] ~= argv[4] then break end
  local lease = tonumber(try('ZSCORE', workers_key, argv[1]))
  if not lease or lease <= now then break end
  local folded, begun = try('HGET', inflight_key, 'folded'), try('HLEN', claims_key)
  local there = claims and try('LLEN', jobs_key) or 0
  if type(folded) == 'table' or type(begun) == 'table' or type(there) == 'table' then break end
  if pushed or (claims and high_water > 0) then
    local unread = try('LLEN', results_key)
    if type(unread) == 'table' then break end
    if claims and high_water > 0 and unread + (pushed and 0 or settle_n) >= high_water then break end
  end

  -- uses: calm_gates
  if not calm then break end

  -- Folded bundles (fold.lua). Those that begin as a whole, and are all counted or all not, stay so. Of settlements, those
  -- of such are marked in what stands for all of the bundle.
  local fold_at, in_part, whole = {}, counts and free, 0
  local remain, marks = {}, {} -- by bundle: how many claims settlements leave, and which: a bit each
  local fields, gone = {}, nil -- "left:<n>" of settlements' bundles; of what is settled: the tokens with entries of their own; nil: all
  if folded then
    for at = 1, #folded, 16 do fold_at[byte(folded, at)] = at end
    for i = bundles_at, #argv[2] do
      local at = fold_at[byte(argv[2], i)]
      local has_begun = at and byte(folded, at + 1) == 1
      if i < bundles_at + begin_bundles then
        if has_begun then calm = false break end
        if at then whole = whole + byte(folded, at + 10) + 256 * byte(folded, at + 11) end
        in_part = in_part or not at or argv[7 + i - bundles_at] == ''
      else
        if at and not has_begun then calm = false break end
        if at and i < ended_at then fields[#fields + 1] = 'left:' .. byte(argv[2], i) end
      end
    end
    local lefts = calm and #fields > 0 and call('HMGET', claims_key, unpack(fields)) or {}
    for i = 1, #lefts do
      local left, n = lefts[i], tonumber(sub(fields[i], 6))
      if left then remain[n], marks[n], gone = byte(left, 1) + 256 * byte(left, 2), { byte(left, 3, -1) }, {} end
    end
    if name and fold_at[bundle] then name = false end
  end
  if calm and gone then
    local places, at = { byte(argv[6], 1, -1) }, 0
    for i = 1, settle_n do
      local n, its_bit = places[at + 1], places[at + 4]
      local mark, in_byte = marks[n], places[at + 2] + 256 * places[at + 3]
      at = at + 4
      if not mark then
        if ends_folded then calm = false break end
        gone[#gone + 1] = argv[SETTLE_AT + i]
      else
        local bits = mark[in_byte]
        if not bits or bits % (2 * its_bit) < its_bit then calm = false break end
        mark[in_byte], remain[n] = bits - its_bit, remain[n] - 1
      end
    end
  end
  if not calm or (ends_folded and not gone) then break end
  in_part = whole > 0 and (in_part or whole ~= bundled_n)
  local folds = whole > 0 and not in_part

  -- The first write may be refused (turn.lua says when), the others then not. Each order key must be free; of those
  -- that begin and those that end none is another's (the worker has looked).
  local first, keys_at = ACCOUNTS + accounts_n, FIXED + (pushed and 0 or settle_n) -- before the tokens to begin; their keys
  local fence, letters, claims_now, claims_n = struct.pack('<dd', turn, unsure), nil, {}, 0
  if begins_folded then
    -- All of the entries are there, or none: MSETNX wrote them.
    if not folds or whole ~= begin_n or try('GET', keys[keys_at + 1]) ~= argv[first + 1] then break end
    letters = string.rep(counts and 'C' or 'G', begin_n)
  elseif begin_n > 0 then
    local entries, i, start, mixed = {}, 0, prefix_n + 1, counts and free and {}
    local one_by_one, some = not folds, begin_n > bundled_n
    for r = settle_runs + 1, accounts_n do
      local length = run[3 * r - 2]
      local kind = concs[run[3 * r - 1]] > 0 and 'P' or 'p'
      if mixed then mixed[#mixed + 1] = string.rep(kind == 'P' and 'C' or 'G', length) end
      for _ = 1, length do
        i = i + 1
        local key = keys[keys_at + i]
        entries[2 * i - 1], entries[2 * i] = key, argv[first + begin_n + i]
        if one_by_one or (some and byte(argv[first + i], -1) ~= 98) then -- b: of a bundle
          claims_n = claims_n + 2
          claims_now[claims_n - 1], claims_now[claims_n] = argv[first + i], kind .. sub(key, start)
        end
      end
    end
    letters = mixed and concat(mixed) or string.rep(counts and 'C' or 'G', begin_n)
    if try('MSETNX', unpack(entries)) ~= 1 then break end
  end
  if pushed then
    call('HSET', stats_key, 'turn:' .. argv[1], fence) -- from now on the results stay (undo.lua)
  elseif settle_n > 0 then
    local there = try('LPUSH', results_key, unpack(argv, SETTLE_AT + settle_n + 1, SETTLE_AT + 2 * settle_n))
    if type(there) == 'table' then
      if begin_n > 0 then call('DEL', unpack(keys, keys_at + 1, keys_at + begin_n)) end
      break
    end
  elseif settle_n + begin_n == 0 and type(try('HSET', stats_key, 'turn:' .. argv[1], fence)) == 'table' then
    break
  end

  if settle_n > 0 then
    local i = 0
    for r = 1, pushed and 0 or settle_runs do
      local ttl = ttls[run[3 * r - 1]]
      for _ = 1, run[3 * r - 2] do
        i = i + 1
        call('SET', keys[FIXED + i], argv[SETTLE_AT + 2 * settle_n + i], 'PX', ttl)
      end
    end
    if not gone then
      call('HDEL', inflight_key, unpack(argv, SETTLE_AT + 1, SETTLE_AT + settle_n))
      call('HDEL', claims_key, unpack(argv, SETTLE_AT + 1, SETTLE_AT + settle_n))
    else
      if #gone > 0 then call('HDEL', inflight_key, unpack(gone)) end
      for n, mark in pairs(marks) do
        if remain[n] == 0 then
          gone[#gone + 1], gone[#gone + 2] = 'folded:' .. n, 'left:' .. n
        else
          claims_n = claims_n + 2
          claims_now[claims_n - 1], claims_now[claims_n] = 'left:' .. n, struct.pack('<I2', remain[n]) .. string.char(unpack(mark))
        end
      end
      if #gone > 0 then call('HDEL', claims_key, unpack(gone)) end
    end
  end
  for i = 0, folds and begin_bundles - 1 or -1 do
    local n = byte(argv[2], bundles_at + i)
    local at, kind = fold_at[n], counts and 'P' or 'p'
    local how_many, first_of, nonce = sub(folded, at + 10, at + 11), sub(folded, at + 2, at + 9), sub(folded, at + 12, at + 15)
    local bits = byte(how_many, 1) + 256 * byte(how_many, 2)
    local rest = bits % 8
    claims_now[claims_n + 1], claims_now[claims_n + 2] = 'folded:' .. n, kind .. how_many .. first_of .. nonce .. argv[7 + i]
    claims_now[claims_n + 3], claims_now[claims_n + 4] = 'left:' .. n, how_many .. string.rep('\255', (bits - rest) / 8) ..
      (rest > 0 and string.char(2 ^ rest - 1) or '')
    claims_n = claims_n + 4
  end
  if claims_n > 0 then
    -- begin.lua says why.
    local list = begun <= settle_n and claims_n >= 16
    if list then call('HSET', claims_key, string.rep('-', 65), '') end
    call('HSET', claims_key, unpack(claims_now))
    if list then call('HDEL', claims_key, string.rep('-', 65)) end
  end
  if in_part then
    -- uses: fold
    for i = bundles_at, bundles_at + begin_bundles - 1 do
      local at = fold_at[byte(argv[2], i)]
      if at then write_all(inflight_key, folded_claims(sub(folded, at, at + 15), claims_key)) end
    end
  end

  if ended_at <= #argv[2] then
    -- uses: bundles_ended
  end
  local records, count = claims and { 'OK', ms(number), time[2], '' }, 0
  if there > 0 and name then
    -- All of them at once, without looking at them: bundle.lua.
    -- Numbers as text: Redis writes out a number of Lua's as a floating one, which costs as much as a key's lookup.
    local want = math.min(there, claim_n)
    local how_many = ms(want)
    if try('SORT', jobs_key, 'BY', 'nosort', 'DESC', 'LIMIT', '0', how_many, 'STORE', name) == want then
      local bytes = try('MEMORY', 'USAGE', name, 'SAMPLES', '0')
      if type(bytes) == 'number' and bytes <= room_bytes then
        count, records[1], records[4] = want, 'BUNDLE', how_many
      else
        call('DEL', name)
      end
    end
  end
  local changed, becomes = count > 0, {} -- of the folded bundles: where they stand -> what stands there now
  for i = bundles_at, folded and #argv[2] or 0 do
    local at = fold_at[byte(argv[2], i)]
    if at and i < bundles_at + begin_bundles then
      changed, becomes[at] = true, in_part and '' or sub(folded, at, at) .. '\1' .. sub(folded, at + 2, at + 15)
    elseif at and i >= ended_at then
      changed, becomes[at] = true, ''
    end
  end
  if changed then
    local parts = {}
    for at = 1, folded and #folded or 0, 16 do parts[#parts + 1] = becomes[at] or sub(folded, at, at + 15) end
    if count > 0 then parts[#parts + 1] = struct.pack('<BBdI2I4', bundle, 0, number + 1, count, time[2]) end
    local now_folded = concat(parts)
    if now_folded == '' then
      call('HDEL', inflight_key, 'folded')
    else
      call('HSET', inflight_key, 'folded', now_folded)
    end
    if count > 0 then call('LTRIM', jobs_key, '0', ms(-1 - count)) end
  end
  if there > 0 and count == 0 then
    local TOKEN, fields, bytes, longest, some, got = '%d.' .. time[2] .. 'f', {}, 0, 1, pop_n, nil
    repeat
      -- Nobody knows how long they are (claim.lua).
      local want = math.min(some, claim_n - count)
      local texts = call('LRANGE', jobs_key, -count - want, -count - 1)
      got = #texts
      for i = got, 1, -1 do
        if bytes >= room_bytes then break end
        local text = texts[i]
        count, bytes, longest = count + 1, bytes + #text, math.max(longest, #text)
        records[4 + count] = text
        fields[2 * count - 1], fields[2 * count] = format(TOKEN, number + count), text
      end
      some = math.max(1, math.floor((room_bytes - bytes) / longest))
    until got < want or count == claim_n or bytes >= room_bytes
    call('HSET', inflight_key, unpack(fields))
    call('LTRIM', jobs_key, 0, -1 - count)
    records[4] = string.rep('f', count)
  end

  if fields_n > 0 then call('HSET', accounts_key, unpack(gates)) end
  if settle_n > 0 then
    call('HSET', stats_key, 'turn:' .. argv[1], fence, 'seq', ms(number + count), 'taken', ms(fresh + count),
      'settled', ms((tonumber(state[5]) or 0) + settle_n), 'results', ms((tonumber(state[6]) or 0) + settle_n),
      counter, ms((tonumber(state[7]) or 0) + settle_n))
  elseif begin_n > 0 or count > 0 then
    call('HSET', stats_key, 'turn:' .. argv[1], fence, 'seq', ms(number + count), 'taken', ms(fresh + count))
  end
  return { ms(now), next, settle_n > 0 and { string.rep('O', settle_n) }, begin_n > 0 and { letters }, records, in_part and 'UNFOLDED' or nil }
until true
