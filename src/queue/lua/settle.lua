-- Ends claims: each job moves to results, dead letters, delayed, its account's waiting list, or back
-- to the queue's head; the ledger and the account's gate learn what was seen. Only the holder of the
-- claim may. A settlement whose reply was lost may be sent again: its claim is gone then, and
-- nothing happens twice.
-- uses: gate record
-- KEYS  1 jobs  2 dead  3 dead:entries  4 delayed  5 parked  6 waiting  7 gates  8 accounts  9 limits
--       10 stats  11 inflight:<worker>  12 begun:<worker>  13 results; from 14 on, per job:
--       order:<account>:<key> (or jobs where there is none), the job's results list
-- ARGV  1 jitter, 0 to 1  2 "1" if this batch is sent again; then per job: token, op, account ("" where unknown), gate effect, its
--       argument, due (retry: ms from now; dead: entry id), body, result ("" for none), ledger
--   op      done | dead | retry | wait (due > 0: not before) | back; a counter's name may follow a colon (done:created)
--   body    retry, wait: state letter, a space, header JSON ("" leaves the header); dead: the entry
--   ledger  "" leave, "D" delete, or the entry's new value
-- Returns  per job: OK; LOST: the claim is not ours any more (a created order's id goes into the
--   ledger all the same); WRONGTYPE: results is no list (nothing was done). A reply_to that is no
--   list gives way to results.
local jitter, again = tonumber(ARGV[1]), ARGV[2] == '1'
local counts, replies = {}, {}

local function count(name)
  counts[name] = (counts[name] or 0) + 1
end

local function ledger_write(key, account, value)
  if value == '' then return end
  if value == 'D' then
    redis.call('DEL', key)
  elseif string.sub(value, 1, 1) == 'C' then
    redis.call('SET', key, value, 'PX', limits_of(KEYS[9], account).ledger_ttl)
  else
    redis.call('SET', key, value)
  end
end

-- A worker that lost its claim still knows what the provider said.
local function learn_of_lost(key, account, ledger)
  if not again then count('fenced') end
  if string.sub(ledger, 1, 1) == 'C' then
    local entry = redis.call('GET', key)
    if not entry or string.sub(entry, 1, 1) ~= 'C' then
      ledger_write(key, account, ledger)
      count('fenced_learned')
    end
  end
  return 'LOST'
end

local function gate_update(account, token, effect, arg)
  local l = limits_of(KEYS[9], account)
  local g = gate_load(KEYS[8], account, l)
  local was = g.mode
  if redis.call('HDEL', KEYS[12], token) == 1 then g.conc = math.max(0, g.conc - 1) end
  gate_learn(g, l, effect, tonumber(arg) or 0, token, jitter)
  if was == 'n' and g.mode == 'b' then count('breaker_opened') end
end

local function new_record(record, body)
  if body == '' then return record end
  local recoveries, _, position = record_split(record)
  local text = string.find(record, '\n', 1, true)
  return recoveries .. string.sub(body, 1, 1) .. position .. string.sub(body, 2) .. string.sub(record, text)
end

local list_ok = {}

local function is_list(key)
  if list_ok[key] == nil then
    local kind = redis.call('TYPE', key).ok
    list_ok[key] = kind == 'list' or kind == 'none'
  end
  return list_ok[key]
end

local function settle(key, results, token, op, account, effect, arg, due, body, result, ledger)
  if result ~= '' and not is_list(results) then
    results = KEYS[13]
    if not is_list(results) then return 'WRONGTYPE' end
  end
  local verb, counter = string.match(op, '^(%a+):?(.*)$')
  local ends = verb == 'done' or verb == 'dead'
  local record = not ends and redis.call('HGET', KEYS[11], token)
  if redis.call('HDEL', KEYS[11], token) == 0 then return learn_of_lost(key, account, ledger) end
  if account ~= '' then gate_update(account, token, effect, arg) end
  ledger_write(key, account, ledger)
  local id = string.match(token, '^%d+')
  if verb == 'dead' then
    redis.call('HSET', KEYS[3], due, body)
    redis.call('ZADD', KEYS[2], ms(now), due)
    count('died')
  elseif verb == 'retry' then
    park_delayed(KEYS[5], KEYS[4], id, new_record(record, body), ms(now + tonumber(due)))
  elseif verb == 'wait' then
    park_waiting(KEYS[5], KEYS[6], KEYS[7], account, id, new_record(record, body))
    if tonumber(due) > 0 then
      redis.call('ZADD', KEYS[7], ms(now + tonumber(due)), account)
      gates_seen[account].spaced = true
    end
  elseif verb == 'back' then
    local fresh = give_back(KEYS[1], KEYS[5], KEYS[4], id, record)
    if fresh == 1 then counts.taken = (counts.taken or 0) - 1 end
  else
    count('settled')
  end
  if result ~= '' then
    redis.call('LPUSH', results, result)
    count('results')
  end
  if counter ~= '' then count(counter) end
  return 'OK'
end

for i = 1, (#KEYS - 13) / 2 do
  local a = 9 * i - 6
  replies[i] = settle(KEYS[12 + 2 * i], KEYS[13 + 2 * i], ARGV[a], ARGV[a + 1], ARGV[a + 2], ARGV[a + 3],
    ARGV[a + 4], ARGV[a + 5], ARGV[a + 6], ARGV[a + 7], ARGV[a + 8])
end
for account, g in pairs(gates_seen) do
  gate_save(KEYS[8], account, g)
  if not g.spaced and redis.call('ZSCORE', KEYS[7], account) then
    gate_schedule(KEYS[7], account, g, limits_seen[account])
  end
end
for name, by in pairs(counts) do
  if by ~= 0 then redis.call('HINCRBY', KEYS[10], name, by) end
end
return replies
