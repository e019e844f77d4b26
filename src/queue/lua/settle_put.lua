-- Where a job goes that is not done. A part of settle.lua ("-- uses: settle_put").
-- KEYS, ARGV  turn.lua's
-- Returns  nothing: what changed is in `moved`, `seq` and `taken`

-- uses: record
local function new_record(record, body)
  if body == '' then return record end
  local recoveries, _, position = record_split(record)
  local text = string.find(record, '\n', 1, true)
  return recoveries .. sub(body, 1, 1) .. position .. sub(body, 2) .. sub(record, text)
end

-- A job that was refused goes to the end of its account's line. The header's "r" counts its refusals, and "c" is the
-- number of its claim at the first (0: an order that was claimed later went through): the second refusal counts only
-- if others went through since then, as otherwise not the order is to blame, but the account.
local function gone_round(account, record)
  local recoveries, state, _, at = record_split(record)
  local rest = sub(record, at)
  local first = string.match(rest, '^{"n":%d+,"l":%d+,"f":%d+,"s":%d+,"r":2,"c":(%d+),')
  if first and first ~= '0' and tonumber(call('HGET', stats_key, 'passed:' .. account) or 0) <= tonumber(first) then
    rest = string.gsub(rest, '"r":2,', '"r":1,', 1)
  end
  seq = seq + 1
  return ms(seq), recoveries .. state .. ms(seq) .. ' ' .. rest
end

local function put_back(verb, b, i, account, due, body, refused)
  local id, record = ms(b.first + i - 1), claim_record(b, i, b.list) or FRESH
  moved = true
  if verb == 'R' then
    park_delayed(parked_key, delayed_key, id, new_record(record, body), ms(math.floor(now + tonumber(due))))
  elseif verb == 'W' then
    record = new_record(record, body)
    if refused then id, record = gone_round(account, record) end
    park_waiting(parked_key, waiting_key, gates_key, account, id, record)
    if tonumber(due) > 0 then
      call('ZADD', gates_key, ms(now + tonumber(due)), account)
      spaced[account] = true
    end
  elseif give_back(jobs_key, parked_key, delayed_key, id, record) == 1 then
    taken = taken - 1
  end
end

-- Where a job goes that is not done: a dead letter, or back; to the end of its account's line, if all are refused alike.
local function goes_on(op, account, b, i, due, body, alike)
  if alike then
    put_back('W', b, i, account, '0', '', true)
  elseif op.verb == 'D' then
    call('HSET', entries_key, due, body)
    call('ZADD', dead_key, ms(now), due)
  else
    put_back(op.verb, b, i, account, due, body, op.effect == 'h')
  end
end
