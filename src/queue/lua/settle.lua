-- Ends claims: each job moves to results, dead letters, delayed, its account's waiting list, or back
-- to the queue's head; the ledger and the account's gate learn what was seen. Only the holder of the
-- claim may. A settlement whose reply was lost may be sent again: its claim is gone then, and
-- nothing happens twice. A part of turn.lua ("-- uses: settle").
-- KEYS  turn.lua's
-- ARGV  of turn.lua: the runs' whats; then their lengths; then the jobs' tokens; then their results ("" for
--       none); then what becomes of their ledger entries; then, for each dead, retry and wait, two more: due
--       (retry, wait: ms from now; dead: entry id), body
--   what    "account op effect": "shop done:created s"
--           account: nothing where unknown
--           op: done | dead | retry | wait (due > 0: not before) | back; a counter's name may follow a
--           colon; "@2" behind it: the result goes to the second further list
--           effect: the gate's (learn.lua) and its argument ("p5000")
--   body    retry, wait: state letter, a space, header JSON ("" leaves the header); dead: the entry
--   ledger  "" leave, "D" delete, or the entry's new value; back of a claim that never began leaves it
-- Returns  { letters, turn, account, ms, … }: one letter per job; then, for each account whose gate turned,
--   what it did (learn.lua's TURNS), the account, for how many ms
--   O  done    L  lost: the claim is not ours any more (a created order's id goes into the ledger all the same)
--   W  results is no list (nothing was done)    B  back without an account, of a claim that was taken for one
--   that never began (nothing was done). A reply_to that is no list gives way to results.
-- "C" in the ledger is the truth whoever wrote it: nothing but another "C" takes its place.
-- Jobs are put where they go first and taken out of the in-flight set last, so that an error half-way
-- (a key of the wrong type) leaves every job in its claim.

local function settle_all()
  local LENGTHS = SETTLE_AT + settle_runs
  local TOKENS = LENGTHS + settle_runs
  local RESULTS, LEDGERS = TOKENS + to_settle, TOKENS + 2 * to_settle
  local SETTLE_KEYS = FIXED + to_begin    -- before the ledger keys
  local LISTS = SETTLE_KEYS + to_settle   -- before the further lists
  local extra = TOKENS + 3 * to_settle    -- before the next job's due and body
  local again = argv[8] == '1'
  local counts, letters, pushes, list_ok, ops, was = {}, {}, {}, {}, {}, {} -- was: account -> its mode before
  local NO_ACCOUNT = { ledger_ttl = '604800000' }

  local function op_of(text)
    local verb, counter, list, effect, arg = string.match(text, '^(%a+):?([%a_]*)@?(%d*) (.)(%d*)$')
    if verb ~= 'done' and verb ~= 'dead' then moved = true end
    local op = { verb = verb, counter = counter ~= '' and counter, effect = effect, well = effect == 's', arg = tonumber(arg) or 0,
                 back = verb == 'back', extras = verb ~= 'done' and verb ~= 'back', ended = 0,
                 results = list ~= '' and keys[LISTS + tonumber(list)] or results_key }
    ops[text] = op
    return op
  end

  local run_ops = {}
  for r = 1, settle_runs do
    local text = sub(argv[SETTLE_AT + r], #settle_names[r] + 2)
    run_ops[r] = ops[text] or op_of(text)
  end
  pass_without_memory(claims_key)
  local held = call('HMGET', claims_key, unpack(argv, TOKENS + 1, RESULTS)) -- what claims:<worker> has for each

  local function count(name, by)
    counts[name] = (counts[name] or 0) + (by or 1)
  end

  local function is_created(key)
    local entry = try('GET', key)
    return type(entry) == 'string' and sub(entry, 1, 1) == 'C'
  end

  local function ledger_write(key, l, value)
    if byte(value) == 67 then -- C
      call('SET', key, value, 'PX', l.ledger_ttl)
    elseif is_created(key) then
      count('ledger_kept')
    elseif value == 'D' then
      call('DEL', key)
    else
      call('SET', key, value)
    end
  end

  -- A worker that lost its claim still knows what the provider said.
  local function learn_of_lost(key, l, ledger)
    if not again then count('fenced') end
    if byte(ledger) == 67 and not is_created(key) then
      ledger_write(key, l, ledger)
      count('fenced_learned')
    end
    return 'L'
  end

  local learn, turns_of -- learn.lua's, once there is something to learn

  local function gate_update(g, l, op, account, token)
    if op.well and g.fails == 0 and g.mode == 'n' and g.till == 0 and g.probe == '-' then return end
    if not learn then
      -- uses: learn
      learn, turns_of = gate_learn, TURNS
    end
    local mode = g.mode
    learn(g, l, op.effect, op.arg, token, tonumber(argv[7]))
    if g.mode ~= mode and not was[account] then was[account] = mode end
  end

  local function is_list(key)
    if list_ok[key] == nil then list_ok[key] = type(try('LLEN', key)) == 'number' end
    return list_ok[key]
  end

  -- Where the job goes that is neither done nor dead; nil where the batch has none of these.
  local put_back
  if moved then
    -- uses: record
    local function new_record(record, body)
      if body == '' then return record end
      local recoveries, _, position = record_split(record)
      local text = string.find(record, '\n', 1, true)
      return recoveries .. sub(body, 1, 1) .. position .. sub(body, 2) .. sub(record, text)
    end

    put_back = function(verb, token, account, due, body)
      local id = string.match(token, '^%d+')
      local record = record_of(token, call('HGET', inflight_key, token))
      if verb == 'retry' then
        park_delayed(parked_key, delayed_key, id, new_record(record, body), ms(math.floor(now + tonumber(due))))
      elseif verb == 'wait' then
        park_waiting(parked_key, waiting_key, gates_key, account, id, new_record(record, body))
        if tonumber(due) > 0 then
          call('ZADD', gates_key, ms(now + tonumber(due)), account)
          spaced[account] = true
        end
      elseif give_back(jobs_key, parked_key, delayed_key, id, record) == 1 then
        count('taken', -1)
      end
    end
  end

  local function push(results, result)
    local list = pushes[results]
    if not list then
      list = { n = 0 }
      pushes[results] = list
    end
    local n = list.n + 1
    list.n, list[n] = n, result
  end

  -- g, l: the account's gate and limits, nil where it is not known.
  local function settle(i, op, account, g, l)
    local key, claim, result, ledger = keys[SETTLE_KEYS + i], held[i], argv[RESULTS + i], argv[LEDGERS + i]
    local due, body
    if op.extras then due, body, extra = argv[extra + 1], argv[extra + 2], extra + 2 end
    if not claim then return learn_of_lost(key, l or NO_ACCOUNT, ledger) end
    if op.back and not g and claim ~= '' then return 'B' end
    if result ~= '' then
      local results = op.results
      if not list_ok[results] and not is_list(results) then
        results = results_key
        if not is_list(results) then return 'W' end
      end
      push(results, result)
    end
    if g then
      if claim ~= '' and g.conc > 0 then g.conc = g.conc - 1 end
      gate_update(g, l, op, account, argv[TOKENS + i])
    end
    if op.verb == 'dead' then
      call('HSET', entries_key, due, body)
      call('ZADD', dead_key, ms(now), due)
    elseif op.verb ~= 'done' then
      put_back(op.verb, argv[TOKENS + i], account, due, body)
    end
    if ledger ~= '' and (claim ~= '' or not op.back) then ledger_write(key, l or NO_ACCOUNT, ledger) end
    op.ended = op.ended + 1
    return 'O'
  end

  local ENDED = { done = 'settled', dead = 'died' }

  -- Takes what ended out of its claims, and counts it.
  local function close_claims()
    local gone, all = {}, 0
    for _, op in pairs(ops) do
      all = all + op.ended
      if ENDED[op.verb] then count(ENDED[op.verb], op.ended) end
      if op.counter then count(op.counter, op.ended) end
    end
    if all == 0 then return end
    ended = all
    local first, last = TOKENS + 1, RESULTS
    if all < to_settle then
      for i = 1, to_settle do
        if letters[i] == 'O' then gone[#gone + 1] = argv[TOKENS + i] end
      end
      first, last = 1, all
    else
      gone = argv
    end
    call('HDEL', inflight_key, unpack(gone, first, last))
    call('HDEL', claims_key, unpack(gone, first, last))
  end

  local i = 0
  for r = 1, settle_runs do
    local op, account = run_ops[r], settle_names[r]
    local g = gates_seen[account]
    local l = g and g.limits
    local length = argv[LENGTHS + r]
    for _ = 1, length == '1' and 1 or tonumber(length) do
      i = i + 1
      letters[i] = settle(i, op, account, g, l)
    end
  end
  for results, list in pairs(pushes) do
    call('LPUSH', results, unpack(list))
    count('results', list.n)
  end
  close_claims()
  local replies = { concat(letters) }
  for account, mode in pairs(was) do
    local g = gates_seen[account]
    local turn = turns_of[mode .. g.mode]
    if turn then
      count(turn)
      replies[#replies + 1] = turn
      replies[#replies + 1] = account
      replies[#replies + 1] = ms(math.max(0, g.till - now))
    end
  end
  for name, by in pairs(counts) do
    if by ~= 0 then call('HINCRBY', stats_key, name, by) end
  end
  return replies
end
