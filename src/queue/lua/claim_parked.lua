-- Claims of jobs that are delayed or wait for their account's gate. A part of claim.lua ("-- uses: claim_parked").
-- KEYS, ARGV  turn.lua's
-- Returns  nothing: what is taken goes into `claimed` and `fields`

-- uses: gate_load passage pauses
-- `account`: its gate lets the job through.
local function take_record(id, account)
  local record = call('HGET', parked_key, id)
  if not record then return end
  count, bytes = count + 1, bytes + #record
  local token = format('%d.', seq + count) .. time[2] .. (account and 'g' or '')
  if account then
    gate_take_token(gates[account], token)
  end
  marks[count] = account and 'g' or '-'
  claimed[RECORDS + count] = record
  fields[2 * count - 1], fields[2 * count] = token, record
end

-- What was taken leaves the place where it was.
local function leave_place(place, members, ids)
  if #ids == 0 then return end
  if count > put then call('HSET', inflight_key, unpack(fields, 2 * put + 1, 2 * count)) end
  put = count
  call('ZREM', place, unpack(members, 1, #ids))
  call('HDEL', parked_key, unpack(ids))
end

local function take_delayed(most)
  local want = most - count
  if want <= 0 or size[5] == 0 then return end
  local due, ids = call('ZRANGEBYSCORE', delayed_key, '-inf', ms(now), 'LIMIT', 0, want), {}
  for i, id in ipairs(due) do
    if bytes >= room_bytes then break end
    ids[i] = id
    take_record(id)
  end
  leave_place(delayed_key, due, ids)
end

local given, schedule = {}, {} -- account -> jobs it gave; accounts that have more

-- Up to `share` jobs of an account whose gate is due.
local function take_of(account, share, most)
  local room = math.min(share, most - count, gate_room(gates[account], given[account] or 0))
  local from, to = '[' .. account .. ' ', '(' .. account .. '!'
  local members = room > 0 and call('ZRANGEBYLEX', waiting_key, from, to, 'LIMIT', 0, room) or {}
  given[account] = (given[account] or 0) + #members
  local ids = {}
  for i, member in ipairs(members) do
    ids[i] = string.match(member, ' 0*(%d+)$')
    take_record(ids[i], account)
  end
  leave_place(waiting_key, members, ids)
  if #members < room or (room > 0 and #call('ZRANGEBYLEX', waiting_key, from, to, 'LIMIT', 0, 1) == 0) then
    call('ZREM', gates_key, account)
  else
    schedule[account] = true
  end
end

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
    local paused = pause_end(pauses[i])
    if paused then
      call('ZADD', gates_key, paused_look(paused), account)
    else
      take_of(account, share, most)
    end
  end
end

local function take_parked(most)
  take_delayed(most)
  take_waiting(most)
end

local function gates_given()
  for account in pairs(schedule) do gate_schedule(gates_key, account, gates[account]) end
end
