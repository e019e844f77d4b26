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

local status = claim_n == 0 and 'OK' -- where nothing may be claimed: why
if size[11] > 0 and not status then
  -- uses: pauses
  status = paused_till(pauses_key, '') and 'PAUSED'
end
if type(results_length) == 'table' and not status then
  status = 'REFUSED'
  claimed = { status, 'WRONGTYPE ' .. results_key .. ' holds a ' .. call('TYPE', results_key).ok ..
    ' where dray keeps a list; nothing was done; rename it' }
elseif high_water > 0 and not status and call('LLEN', results_key) >= high_water then
  status = 'FULL'
end

if status == 'REFUSED' then
  -- said above
elseif status then
  claimed = { status }
  -- What blocking pick-ups took goes back.
  repeat until not call('LMOVE', taken_key, jobs_key, 'LEFT', 'RIGHT')
else
  if moved then -- jobs came back in this very turn
    size[1], size[5], size[8] = call('LLEN', jobs_key), call('ZCARD', delayed_key), call('ZCARD', gates_key)
  end
  local FRESH_TOKEN = '%d.' .. time[2] .. 'f'
  local RECORDS = 4 -- before the records
  claimed = { 'OK', ms(seq), time[2], '' }
  local marks = {}
  local fields = {}
  local count, fresh, bytes = 0, 0, 0
  local put = 0 -- how many of them are in the in-flight set, where all must be before they are taken from elsewhere
  local most = claim_n -- and how many of them jobs that have waited may be
  local take_parked_jobs, gates_done -- claim_parked.lua's, where something is delayed or somebody waits

  if size[5] > 0 or size[8] > 0 then
    -- uses: claim_parked
    take_parked_jobs, gates_done = take_parked, gates_given
    -- A claim of less than four keeps the whole quarter or nothing: by the microsecond, which is as good as by chance.
    if size[1] > 0 then
      most = claim_n >= 4 and claim_n - math.floor(claim_n / 4) or time[2] % 4 == 0 and claim_n - 1 or claim_n
    end
  end

  local trims = {} -- lists, and the last that stays
  for step = 1, 4 do
    -- Jobs as they were pushed; a list's right end is its head. Nobody knows how long they are, so some are
    -- read first, then as many as fit if all were that long.
    local list = step == 1 and size[14] > 0 and taken_key or step == 3 and size[1] > 0 and jobs_key
    local longest, some, off = 1, pop_n, 0
    while list and claim_n > count and bytes < room_bytes do
      local want = math.min(some, claim_n - count)
      local raws = call('LRANGE', list, -off - want, -off - 1)
      local got = #raws
      for i = got, 1, -1 do
        if bytes >= room_bytes then break end
        local raw, n = raws[i], #raws[i]
        if n > longest then longest = n end
        count, bytes, off = count + 1, bytes + n, off + 1
        claimed[RECORDS + count] = raw
        fields[2 * count - 1], fields[2 * count] = format(FRESH_TOKEN, seq + count), raw
      end
      if got < want then list = nil end
      some = math.max(1, math.floor((room_bytes - bytes) / longest))
    end
    if off > 0 then
      fresh = fresh + off
      trims[#trims + 1] = { step == 1 and taken_key or jobs_key, -1 - off }
    end
    -- Jobs that have waited: before the fresh ones up to their share, behind them what is left.
    if take_parked_jobs then
      if step == 2 then
        take_parked_jobs(most)
        if most == claim_n or count < most then most = 0 end
      elseif step == 4 and most > 0 then
        take_parked_jobs(claim_n)
      end
    end
  end

  if count > 0 then
    if count > put then call('HSET', inflight_key, unpack(fields, 2 * put + 1, 2 * count)) end
    for _, trim in ipairs(trims) do call('LTRIM', trim[1], 0, trim[2]) end
    if fresh < count then
      for i = 1, count do marks[i] = marks[i] or 'f' end
    end
    claimed[4] = fresh == count and string.rep('f', count) or concat(marks)
    seq, taken, counted = seq + count, taken + fresh, true
  end
  if gates_done then gates_done() end
end
