-- Takes up to n jobs into this worker's in-flight set. In this order: what blocking pick-ups took,
-- jobs whose delay is due, jobs whose account's gate has opened, fresh jobs. Of what a claim takes a
-- quarter is kept for fresh jobs while there are any, so that accounts that always have jobs waiting
-- do not keep the others out.
-- uses: kinds gate record
-- KEYS  1 jobs  2 delayed  3 parked  4 waiting  5 gates  6 accounts  7 limits  8 pauses  9 workers
--       10 stats  11 results  12 inflight:<worker>  13 taken  14 claims:<worker>
-- ARGV  1 worker  2 n (0 only gives back what blocking pick-ups took)  3 bytes to take at most (one job always fits)  4 results high water (0: none)
-- Returns  { status, now ms, next ms, token, record, token, record, … }
--   status  OK; LOST: the lease ran out, beat first; PAUSED: by an operator; FULL: results not consumed
--   next    when something will be due: 0 now, -1 nothing is known to come
--   token   the claim's number, a dot, the microsecond of the claim (a failover may set the numbers back:
--           two claims must not share a token); a "g" behind it says that it has passed its account's
--           gate, an "f" that the job is fresh: its record is its text
local wrong = wrong_kind({ 'list', 'zset', 'hash', 'zset', 'zset', 'hash', 'hash', 'hash', 'zset', 'hash', 'list',
  'hash', 'list', 'hash' })
if wrong then return wrong end
local worker, n, room_bytes, high_water = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local lease = redis.call('ZSCORE', KEYS[9], worker)
if not lease or tonumber(lease) <= now then return { 'LOST', ms(now), '-1' } end

-- Nothing may be claimed: what blocking pick-ups took goes back, and the worker asks again in a second.
local function closed(status)
  local taken = redis.call('LPOP', KEYS[13])
  while taken do
    redis.call('RPUSH', KEYS[1], taken)
    taken = redis.call('LPOP', KEYS[13])
  end
  return { status, ms(now), ms(now + 1000) }
end

if n == 0 then return closed('OK') end
if paused_till(KEYS[8], '') then return closed('PAUSED') end
if high_water > 0 and redis.call('LLEN', KEYS[11]) >= high_water then return closed('FULL') end

local records, mark, passed, bytes, fresh = {}, {}, {}, 0, 0

local function add(record, letter, gate_passed)
  records[#records + 1] = record
  mark[#records] = letter
  passed[#records] = gate_passed
  bytes = bytes + #record
end

-- Jobs as they were pushed; `list`'s right end is its head. What doesn't fit goes back; nobody knows
-- how long they are, so one is popped first, then as many as fit if all were that long.
local function take_fresh(list)
  local longest, some = 1, 1
  while n > #records and bytes < room_bytes do
    local want = math.min(some, n - #records)
    local raws = redis.call('RPOP', list, want)
    if not raws then return end
    local last = #raws
    for i = 1, #raws do
      if bytes >= room_bytes then last = i - 1 break end
      add(raws[i], 'f', false)
      fresh = fresh + 1
      longest = math.max(longest, #raws[i])
    end
    for i = #raws, last + 1, -1 do redis.call('RPUSH', list, raws[i]) end
    if #raws < want then return end
    some = math.max(1, math.floor((room_bytes - bytes) / longest))
  end
end

local function take_parked(id, gate_passed)
  local record = redis.call('HGET', KEYS[3], id)
  redis.call('HDEL', KEYS[3], id)
  if record then add(record, gate_passed and 'g' or '', gate_passed) end
end

local function take_delayed(most)
  local want = most - #records
  if want <= 0 then return end
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', ms(now), 'LIMIT', 0, want)) do
    if bytes >= room_bytes then return end
    redis.call('ZREM', KEYS[2], id)
    take_parked(id, false)
  end
end

-- Accounts whose gate is due, the longest due first; each gives what its gate lets through and goes
-- to the back of the line.
local function take_waiting(most)
  local want = most - #records
  if want <= 0 then return end
  local due = redis.call('ZRANGEBYSCORE', KEYS[5], '-inf', ms(now), 'LIMIT', 0, want)
  if #due == 0 then return end
  local share = math.max(1, math.floor(want / #due))
  gates_fetch(KEYS[6], KEYS[7], due)
  local pauses = redis.call('HMGET', KEYS[8], unpack(due))
  for i, account in ipairs(due) do
    if most <= #records or bytes >= room_bytes then return end
    local l = limits_of(KEYS[7], account)
    local g = gate_load(KEYS[6], account, l)
    local paused = pause_end(pauses[i])
    if paused then
      redis.call('ZADD', KEYS[5], paused_look(paused), account)
    else
      local room = math.min(share, most - #records, gate_room(g, l) - g.given)
      local from, to = '[' .. account .. ' ', '(' .. account .. '!'
      local members = room > 0 and redis.call('ZRANGEBYLEX', KEYS[4], from, to, 'LIMIT', 0, room) or {}
      g.given = g.given + #members
      if #members > 0 then redis.call('ZREM', KEYS[4], unpack(members)) end
      for _, member in ipairs(members) do
        take_parked(string.match(member, ' 0*(%d+)$'), account)
      end
      if #members < room or (room > 0 and #redis.call('ZRANGEBYLEX', KEYS[4], from, to, 'LIMIT', 0, 1) == 0) then
        redis.call('ZREM', KEYS[5], account)
      else
        g.reschedule = true
      end
    end
  end
end

-- How many of n are for jobs that wait, where fresh ones do too. A claim of less than four keeps the
-- whole quarter or nothing: by the microsecond, which is as good as by chance.
local function most_parked()
  if redis.call('EXISTS', KEYS[1]) == 0 then return n end
  if n >= 4 then return n - math.floor(n / 4) end
  return time[2] % 4 == 0 and n - 1 or n
end

take_fresh(KEYS[13])
local most = most_parked()
take_delayed(most)
take_waiting(most)
local cut = most < n and #records >= most
take_fresh(KEYS[1])
if cut then
  take_delayed(n)
  take_waiting(n)
end

local reply = { 'OK', ms(now), '-1' }
if #records > 0 then
  local first, nonce = take_numbers(KEYS[10], KEYS[3], #records), '.' .. time[2]
  local fields, claims = {}, {}
  for i, record in ipairs(records) do
    local token = ms(first + i) .. nonce .. mark[i]
    if passed[i] then
      gate_take_token(gates_seen[passed[i]], limits_seen[passed[i]], token)
    end
    fields[#fields + 1] = token
    fields[#fields + 1] = record
    claims[#claims + 1] = token
    claims[#claims + 1] = ''
    reply[#reply + 1] = token
    reply[#reply + 1] = record
  end
  redis.call('HSET', KEYS[12], unpack(fields))
  redis.call('HSET', KEYS[14], unpack(claims))
  if fresh > 0 then redis.call('HINCRBY', KEYS[10], 'taken', fresh) end
end
for account, g in pairs(gates_seen) do
  if g.reschedule then gate_schedule(KEYS[5], account, g, limits_seen[account]) end
end
gates_save(KEYS[6])
reply[3] = look_again(KEYS[2], KEYS[5])
return reply
