-- Claims of jobs that are delayed or wait for their account's gate. A part of claim.lua ("-- uses: claim_parked").
-- KEYS, ARGV  turn.lua's
-- Returns  how many were due and how many had waited; `put_head` puts them into the batch, `leave` takes them
--   from where they were

-- uses: gate_load gate_pass pauses
local records, members = {}, { [delayed_key] = {}, [waiting_key] = {} } -- members of the places that they leave
local ids, schedule = {}, {} -- of the jobs that are taken; account -> whether it has more

-- A claim of less than four keeps the whole quarter or nothing: by the microsecond, which is as good as by chance.
local function parked_most()
  if jobs_n == 0 then return claim_n end
  local quarter = claim_n >= 4 and math.floor(claim_n / 4) or time[2] % 4 == 0 and 1 or 0
  return claim_n - math.min(jobs_n, quarter)
end

local function take_record(place, member, id)
  local record = call('HGET', parked_key, id)
  local list = members[place]
  list[#list + 1], ids[#ids + 1] = member, id
  if not record then return false end
  records[#records + 1], room_bytes = record, room_bytes - #record
  return true
end

local function take_delayed(most)
  local n = 0
  for _, id in ipairs(delayed_n > 0 and call('ZRANGEBYSCORE', delayed_key, '-inf', ms(now), 'LIMIT', 0, most) or {}) do
    if room_bytes <= 0 then break end
    if take_record(delayed_key, id, id) then n = n + 1 end
  end
  return n
end

-- Up to `share` jobs of an account whose gate is due: how many it gave.
local function take_of(account, share)
  local g, n = gates[account], 0
  local room = math.min(share, gate_room(g))
  local from, to = '[' .. account .. ' ', '(' .. account .. '!'
  local waiting = call('ZRANGEBYLEX', waiting_key, from, to, 'LIMIT', 0, room + 1)
  for i = 1, math.min(#waiting, room) do
    if room_bytes <= 0 then break end
    if take_record(waiting_key, waiting[i], string.match(waiting[i], ' 0*(%d+)$')) then
      n = n + 1
      gate_take_token(g, seq + #records)
    end
  end
  schedule[account] = #waiting > n
  return n
end

-- Accounts whose gate is due, the longest due first; each gives what its gate lets through and goes
-- to the back of the line.
local function take_waiting(most)
  local accounts = most > 0 and waits_n > 0 and call('ZRANGEBYSCORE', gates_key, '-inf', ms(now), 'LIMIT', 0, most) or {}
  if #accounts == 0 then return 0 end
  local n, share = 0, math.max(1, math.floor(most / #accounts))
  gates_fetch(accounts_key, limits_key, accounts)
  local pauses = call('HMGET', pauses_key, unpack(accounts))
  for i, account in ipairs(accounts) do
    if n >= most or room_bytes <= 0 then break end
    local paused = pause_end(pauses[i])
    if paused then
      call('ZADD', gates_key, paused_look(paused), account)
    else
      n = n + take_of(account, math.min(share, most - n))
    end
  end
  return n
end

local function take_parked()
  local most = parked_most()
  local n = take_delayed(most)
  local waited = take_waiting(most - n)
  return n, waited
end

-- The records come before the fresh jobs of the batch, which stand there already. What an earlier call may have left goes.
local function put_head(fresh)
  if #records == 0 then return end
  if fresh == 0 then call('UNLINK', batch_key) end
  local turned, n = {}, #records
  for i = 1, n do turned[i] = records[n + 1 - i] end
  call('LPUSH', batch_key, unpack(turned))
end

-- What was taken is in the batch, and leaves the place where it was; accounts that have more are looked at again.
local function leave()
  for place, list in pairs(members) do
    if #list > 0 then call('ZREM', place, unpack(list)) end
  end
  if #ids > 0 then call('HDEL', parked_key, unpack(ids)) end
  for account, more in pairs(schedule) do
    if more then gate_schedule(gates_key, account, gates[account]) else call('ZREM', gates_key, account) end
  end
end
