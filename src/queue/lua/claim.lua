-- Takes up to n jobs into this worker's in-flight set. In this order: what blocking pick-ups took,
-- jobs whose delay is due, jobs whose account's gate has opened, fresh jobs. Of what a claim takes a
-- quarter is kept for fresh jobs while there are any, so that accounts that always have jobs waiting
-- do not keep the others out. A part of turn.lua ("-- uses: claim", after gate), which has seen that the lease is alive.
-- KEYS, ARGV  turn.lua's
-- Returns  { status, number, nonce, marks, record, … }
--   status  OK; LOST: the lease ran out, beat first; PAUSED: by an operator; FULL: results not consumed; REFUSED:
--           Redis is full, or results is no list: what follows says so, and nothing was done
--   marks   one letter per record. The token of the i-th is number + i, a dot, the nonce (the microsecond
--           of the claim: a failover may set the numbers back, and two claims must not share a token) and
--           its letter, if that is one of: g, it has passed its account's gate; f, the job is fresh: its
--           record is its text; "-" is none

local function claim_up_to(n)
  local room_bytes, high_water = tonumber(argv[10]), tonumber(argv[11])

  -- Nothing may be claimed: what blocking pick-ups took goes back, and the worker asks again in a second.
  local function closed(status)
    local taken = call('LPOP', taken_key)
    while taken do
      call('RPUSH', jobs_key, taken)
      taken = call('LPOP', taken_key)
    end
    return { status }
  end

  if n == 0 then return closed('OK') end
  if size[11] > 0 then
    -- uses: pauses
    if paused_till(pauses_key, '') then return closed('PAUSED') end
  end
  local results_length = try('LLEN', results_key)
  if type(results_length) == 'table' then
    return { 'REFUSED', kind_error(results_key, call('TYPE', results_key).ok, 'list') }
  end
  if high_water > 0 and results_length >= high_water then return closed('FULL') end

  if moved then -- jobs came back in this very turn
    size[1], size[5], size[8] = call('LLEN', jobs_key), call('ZCARD', delayed_key), call('ZCARD', gates_key)
  end

  -- A hash of few short values is a list to Redis, and finding a claim in it a walk. One long value makes it
  -- a table for as long as it has anything in it.
  local LONG = string.rep('-', 65)
  local TABLE_FROM = 8 -- claims that are worth that

  local number, taken = last_number(stats_key, parked_key)
  local nonce = '.' .. time[2]
  local FRESH_TOKEN = '%d' .. nonce .. 'f'
  local RECORDS = 4 -- before the records
  local reply, marks = { 'OK', ms(number), time[2], '' }, {}
  local fields, claims = {}, {}
  local count, fresh, bytes = 0, 0, 0

  local function add(record, mark, token)
    count = count + 1
    bytes = bytes + #record
    reply[RECORDS + count] = record
    if mark ~= 'f' then marks[count] = mark end
    fields[2 * count - 1], fields[2 * count] = token, record
    claims[2 * count - 1], claims[2 * count] = token, ''
  end

  -- Jobs as they were pushed; `list`'s right end is its head. What doesn't fit goes back; nobody knows
  -- how long they are, so one is popped first, then as many as fit if all were that long.
  local function take_fresh(list)
    local longest, some = 1, 1
    while n > count and bytes < room_bytes do
      local want = math.min(some, n - count)
      local raws = call('RPOP', list, want)
      if not raws then return end
      local got, last = #raws, #raws
      for i = 1, got do
        if bytes >= room_bytes then last = i - 1 break end
        local raw = raws[i]
        if #raw > longest then longest = #raw end
        add(raw, 'f', format(FRESH_TOKEN, number + count + 1))
      end
      fresh = fresh + last
      for i = got, last + 1, -1 do call('RPUSH', list, raws[i]) end
      if got < want then return end
      some = math.max(1, math.floor((room_bytes - bytes) / longest))
    end
  end

  -- How many of n are for jobs that wait, where fresh ones do too. A claim of less than four keeps the
  -- whole quarter or nothing: by the microsecond, which is as good as by chance.
  local function most_parked()
    if size[1] == 0 then return n end
    if n >= 4 then return n - math.floor(n / 4) end
    return time[2] % 4 == 0 and n - 1 or n
  end

  local take_parked_jobs, gates_done -- nil where nothing is delayed and nobody waits
  if size[5] > 0 or size[8] > 0 then
    -- uses: passage pauses
    -- `account`: its gate lets the job through.
    local function take_parked(id, account)
      local record = call('HGET', parked_key, id)
      call('HDEL', parked_key, id)
      if not record then return end
      local token = format('%d', number + count + 1) .. nonce .. (account and 'g' or '')
      if account then gate_take_token(gates_seen[account], gates_seen[account].limits, token) end
      add(record, account and 'g' or '-', token)
    end

    local function take_delayed(most)
      local want = most - count
      if want <= 0 or size[5] == 0 then return end
      for _, id in ipairs(call('ZRANGEBYSCORE', delayed_key, '-inf', ms(now), 'LIMIT', 0, want)) do
        if bytes >= room_bytes then return end
        call('ZREM', delayed_key, id)
        take_parked(id)
      end
    end

    local given, schedule = {}, {} -- account -> jobs it gave; accounts that have more

    -- Accounts whose gate is due, the longest due first; each gives what its gate lets through and goes
    -- to the back of the line.
    local function take_waiting(most)
      local want = most - count
      if want <= 0 or size[8] == 0 then return end
      local due = call('ZRANGEBYSCORE', gates_key, '-inf', ms(now), 'LIMIT', 0, want)
      if #due == 0 then return end
      local share = math.max(1, math.floor(want / #due))
      gates_fetch(accounts_key, limits_key, due)
      local pauses = call('HMGET', pauses_key, unpack(due))
      for i, account in ipairs(due) do
        if most <= count or bytes >= room_bytes then return end
        local g = gates_seen[account]
        local paused = pause_end(pauses[i])
        if paused then
          call('ZADD', gates_key, paused_look(paused), account)
        else
          local room = math.min(share, most - count, gate_room(g, g.limits, given[account] or 0))
          local from, to = '[' .. account .. ' ', '(' .. account .. '!'
          local members = room > 0 and call('ZRANGEBYLEX', waiting_key, from, to, 'LIMIT', 0, room) or {}
          given[account] = (given[account] or 0) + #members
          if #members > 0 then call('ZREM', waiting_key, unpack(members)) end
          for _, member in ipairs(members) do
            take_parked(string.match(member, ' 0*(%d+)$'), account)
          end
          if #members < room or (room > 0 and #call('ZRANGEBYLEX', waiting_key, from, to, 'LIMIT', 0, 1) == 0) then
            call('ZREM', gates_key, account)
          else
            schedule[account] = true
          end
        end
      end
    end

    take_parked_jobs = function(most)
      take_delayed(most)
      take_waiting(most)
    end

    gates_done = function()
      for account in pairs(schedule) do gate_schedule(gates_key, account, gates_seen[account]) end
    end
  end

  if size[14] > 0 then take_fresh(taken_key) end
  local most = most_parked()
  if take_parked_jobs then take_parked_jobs(most) end
  local cut = most < n and count >= most
  if size[1] > 0 then take_fresh(jobs_key) end
  if cut and take_parked_jobs then take_parked_jobs(n) end

  if count > 0 then
    call('HSET', stats_key, 'seq', ms(number + count), 'taken', ms(taken + fresh))
    call('HSET', inflight_key, unpack(fields))
    if size[16] - ended <= 0 and count >= TABLE_FROM then
      call('HSET', claims_key, LONG, '')
      call('HSET', claims_key, unpack(claims))
      call('HDEL', claims_key, LONG)
    else
      call('HSET', claims_key, unpack(claims))
    end
    if fresh < count then
      for i = 1, count do marks[i] = marks[i] or 'f' end
    end
    reply[4] = fresh == count and string.rep('f', count) or concat(marks)
  end
  if take_parked_jobs then gates_done() end
  return reply
end
