-- Takes up to claim_n jobs into this worker's in-flight set. In this order: what blocking pick-ups took,
-- jobs whose delay is due, jobs whose account's gate has opened, fresh jobs. Of what a claim takes a
-- quarter is kept for fresh jobs while there are any, so that accounts that always have jobs waiting
-- do not keep the others out. A part of turn.lua ("-- uses: claim"), which has seen that the lease is alive.
-- KEYS, ARGV  turn.lua's
-- Returns  in `claimed`: { status, number, nonce, marks, record, … }
--   status  OK; LOST: the lease ran out, beat first; PAUSED: by an operator; FULL: results not consumed; REFUSED:
--           Redis is full, or results is no list: what follows says so, and nothing was done
--   marks   one letter per record. The token of the i-th is number + i, a dot, the nonce (the microsecond
--           of the claim: a failover may set the numbers back, and two claims must not share a token) and
--           its letter, if that is one of: g, it has passed its account's gate; f, the job is fresh: its
--           record is its text; "-" is none

-- Where nothing may be claimed: why.
local function claim_closed()
  if claim_n == 0 then return { 'OK' } end
  if size[11] > 0 then
    -- uses: pauses
    if paused_till(pauses_key, '') then return { 'PAUSED' } end
  end
  if type(unread) == 'table' then
    return { 'REFUSED', 'WRONGTYPE ' .. results_key .. ' holds a ' .. call('TYPE', results_key).ok ..
      ' where dray keeps a list; nothing was done; rename it' }
  end
  return high_water > 0 and call('LLEN', results_key) >= high_water and { 'FULL' } or nil
end

local RECORDS = 4 -- before the records
local FRESH_TOKEN = '%d.' .. time[2] .. 'f'
local count, fresh, bytes = 0, 0, 0
local fields, marks, trims = {}, {}, {} -- of the in-flight set; by record, "f" where nothing is; list -> the last that stays
local put = 0 -- how many of them are in the in-flight set, where all must be before they are taken from elsewhere

-- Jobs as they were pushed; a list's right end is its head. Nobody knows how long they are, so some are
-- read first, then as many as fit if all were that long.
local function take_fresh(list)
  local longest, some, off, got, want = 1, pop_n, 0, 0, 0
  while got == want and claim_n > count and bytes < room_bytes do
    want = math.min(some, claim_n - count)
    local raws = call('LRANGE', list, -off - want, -off - 1)
    got = #raws
    for i = got, 1, -1 do
      if bytes >= room_bytes then break end
      local raw = raws[i]
      local n = #raw
      if n > longest then longest = n end
      count, bytes, off = count + 1, bytes + n, off + 1
      claimed[RECORDS + count] = raw
      fields[2 * count - 1], fields[2 * count] = format(FRESH_TOKEN, seq + count), raw
    end
    some = math.max(1, math.floor((room_bytes - bytes) / longest))
  end
  fresh = fresh + off
  if off > 0 then trims[list] = -1 - off end
end

claimed = claim_closed()
if claimed then
  -- What blocking pick-ups took goes back.
  if claimed[1] ~= 'REFUSED' then
    repeat until not call('LMOVE', taken_key, jobs_key, 'LEFT', 'RIGHT')
  end
else
  claimed = { 'OK', ms(seq), time[2], '' }
  if moved then -- jobs came back in this very turn
    size[1], size[5], size[8] = call('LLEN', jobs_key), call('ZCARD', delayed_key), call('ZCARD', gates_key)
  end
  if size[14] > 0 then take_fresh(taken_key) end
  if size[5] + size[8] == 0 then
    if size[1] > 0 then take_fresh(jobs_key) end
  else
    -- uses: claim_parked
    -- A claim of less than four keeps the whole quarter or nothing: by the microsecond, which is as good as by chance.
    local most = claim_n
    if size[1] > 0 then
      most = claim_n >= 4 and claim_n - math.floor(claim_n / 4) or time[2] % 4 == 0 and claim_n - 1 or claim_n
    end
    take_parked(most)
    local more = most < claim_n and count >= most -- of those that have waited there are more
    if size[1] > 0 then take_fresh(jobs_key) end
    if more then take_parked(claim_n) end
    gates_given()
  end
  if count > put then call('HSET', inflight_key, unpack(fields, 2 * put + 1, 2 * count)) end
  for list, last in pairs(trims) do call('LTRIM', list, 0, last) end
  for i = 1, count do marks[i] = marks[i] or 'f' end
  claimed[4] = concat(marks)
  seq, taken = seq + count, taken + fresh
end
