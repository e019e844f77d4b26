-- Takes up to n jobs into this worker's in-flight set. In this order: what blocking pick-ups took,
-- jobs whose delay is due, jobs whose account's gate has opened, fresh jobs. Of what a claim takes a
-- quarter is kept for fresh jobs while there are any, so that accounts that always have jobs waiting
-- do not keep the others out.
-- uses: kinds clock record
-- KEYS  1 jobs  2 delayed  3 parked  4 waiting  5 gates  6 accounts  7 limits  8 pauses  9 workers
--       10 stats  11 results  12 inflight:<worker>  13 taken  14 claims:<worker>
-- ARGV  1 worker  2 n (0 only gives back what blocking pick-ups took)  3 bytes to take at most (one job always fits)  4 results high water (0: none)
-- Returns  { status, now ms, next ms, number, nonce, marks, record, … }
--   status  OK; LOST: the lease ran out, beat first; PAUSED: by an operator; FULL: results not consumed
--   next    when something will be due: 0 now, -1 nothing is known to come
--   marks   one letter per record. The token of the i-th is number + i, a dot, the nonce (the microsecond
--           of the claim: a failover may set the numbers back, and two claims must not share a token) and
--           its letter, if that is one of: g, it has passed its account's gate; f, the job is fresh: its
--           record is its text; "-" is none
local wrong = wrong_kind({ 'list', 'zset', 'hash', 'zset', 'zset', 'hash', 'hash', 'hash', 'zset', 'hash', 'list',
  'hash', 'list', 'hash' })
if wrong then return wrong end
local worker, n, room_bytes, high_water = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local lease = call('ZSCORE', KEYS[9], worker)
if not lease or tonumber(lease) <= now then return { 'LOST', ms(now), '-1' } end

-- Nothing may be claimed: what blocking pick-ups took goes back, and the worker asks again in a second.
local function closed(status)
  local taken = call('LPOP', KEYS[13])
  while taken do
    call('RPUSH', KEYS[1], taken)
    taken = call('LPOP', KEYS[13])
  end
  return { status, ms(now), ms(now + 1000) }
end

if n == 0 then return closed('OK') end
if size[8] > 0 then
  -- uses: pauses
  if paused_till(KEYS[8], '') then return closed('PAUSED') end
end
if high_water > 0 and size[11] >= high_water then return closed('FULL') end

-- A hash of few short values is a list to Redis, and finding a claim in it a walk. One long value makes it
-- a table for as long as it has anything in it.
local LONG = string.rep('-', 65)
local TABLE_FROM = 8 -- claims that are worth that

local number, taken = last_number(KEYS[10], KEYS[3])
local nonce = '.' .. time[2]
local FRESH_TOKEN = '%d' .. nonce .. 'f'
local HEAD = 6
local reply, marks = { 'OK', ms(now), '-1', ms(number), time[2], '' }, {}
local fields, claims = {}, {}
local count, fresh, bytes = 0, 0, 0

local function add(record, mark, token)
  count = count + 1
  bytes = bytes + #record
  reply[HEAD + count], marks[count] = record, mark
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

local take_parked_jobs, gates_done -- up to as many; nil where nothing is delayed and nobody waits
if size[2] > 0 or size[5] > 0 then
  -- uses: gate passage pauses
  -- `account`: its gate lets the job through.
  local function take_parked(id, account)
    local record = call('HGET', KEYS[3], id)
    call('HDEL', KEYS[3], id)
    if not record then return end
    local token = format('%d', number + count + 1) .. nonce .. (account and 'g' or '')
    if account then gate_take_token(gates_seen[account], limits_seen[account], token) end
    add(record, account and 'g' or '-', token)
  end

  local function take_delayed(most)
    local want = most - count
    if want <= 0 or size[2] == 0 then return end
    for _, id in ipairs(call('ZRANGEBYSCORE', KEYS[2], '-inf', ms(now), 'LIMIT', 0, want)) do
      if bytes >= room_bytes then return end
      call('ZREM', KEYS[2], id)
      take_parked(id)
    end
  end

  local given, schedule = {}, {} -- account -> jobs it gave; accounts that have more

  -- Accounts whose gate is due, the longest due first; each gives what its gate lets through and goes
  -- to the back of the line.
  local function take_waiting(most)
    local want = most - count
    if want <= 0 or size[5] == 0 then return end
    local due = call('ZRANGEBYSCORE', KEYS[5], '-inf', ms(now), 'LIMIT', 0, want)
    if #due == 0 then return end
    local share = math.max(1, math.floor(want / #due))
    gates_fetch(KEYS[6], KEYS[7], due)
    local pauses = call('HMGET', KEYS[8], unpack(due))
    for i, account in ipairs(due) do
      if most <= count or bytes >= room_bytes then return end
      local l = limits_of(KEYS[7], account)
      local g = gate_load(KEYS[6], account, l)
      local paused = pause_end(pauses[i])
      if paused then
        call('ZADD', KEYS[5], paused_look(paused), account)
      else
        local room = math.min(share, most - count, gate_room(g, l, given[account] or 0))
        local from, to = '[' .. account .. ' ', '(' .. account .. '!'
        local members = room > 0 and call('ZRANGEBYLEX', KEYS[4], from, to, 'LIMIT', 0, room) or {}
        given[account] = (given[account] or 0) + #members
        if #members > 0 then call('ZREM', KEYS[4], unpack(members)) end
        for _, member in ipairs(members) do
          take_parked(string.match(member, ' 0*(%d+)$'), account)
        end
        if #members < room or (room > 0 and #call('ZRANGEBYLEX', KEYS[4], from, to, 'LIMIT', 0, 1) == 0) then
          call('ZREM', KEYS[5], account)
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
    for account in pairs(schedule) do gate_schedule(KEYS[5], account, gates_seen[account], limits_seen[account]) end
    gates_save(KEYS[6])
  end
end

if size[13] > 0 then take_fresh(KEYS[13]) end
local most = most_parked()
if take_parked_jobs then take_parked_jobs(most) end
local cut = most < n and count >= most
if size[1] > 0 then take_fresh(KEYS[1]) end
if cut and take_parked_jobs then take_parked_jobs(n) end

if count > 0 then
  call('HSET', KEYS[10], 'seq', ms(number + count), 'taken', ms(taken + fresh))
  call('HSET', KEYS[12], unpack(fields))
  if size[14] == 0 and count >= TABLE_FROM then
    call('HSET', KEYS[14], LONG, '')
    call('HSET', KEYS[14], unpack(claims))
    call('HDEL', KEYS[14], LONG)
  else
    call('HSET', KEYS[14], unpack(claims))
  end
  reply[6] = fresh == count and string.rep('f', count) or table.concat(marks)
end
if take_parked_jobs then
  -- uses: look
  gates_done()
  reply[3] = look_again(KEYS[2], KEYS[5])
end
return reply
