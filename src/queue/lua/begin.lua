-- Admission, after the worker has read the job and before a byte of it leaves. For each job: is the
-- claim still ours and our lease alive; is the order key free; is the account's gate open?
-- uses: gate record
-- KEYS  1 workers  2 inflight:<worker>  3 claims:<worker>  4 parked  5 waiting  6 gates  7 accounts
--       8 limits  9 pauses  10 stats; from 11 on, per job: order:<account>:<key>
-- ARGV  1 worker  2 length of the ledger keys' common beginning ("dray:{q}:order:"); then per job:
--       token, kind (P to send the order, L to look it up) and account in one, hash of the order's bytes
-- Returns  per job one text, the first letter of which is
--   G  go; the ledger says "sending"          W  moved to its account's waiting list (then: why)
--   D  the key's order exists; the ledger entry follows
--   K  the key stands with other bytes        B  the key is under way elsewhere, come back later
--   U  the key's outcome is unknown; the ledger entry follows
--   L  lost: the claim or the lease is gone
-- The ledger: "S hash worker token" sending, "L hash ms" being looked up, "C hash ms ids" created,
-- "U hash ms dead_id" unknown for good. Asking again for a claim that has begun answers G and takes
-- nothing more, so a lost reply is asked for again.
local FIXED, ARGS = 10, 3
local worker, key_start, n = ARGV[1], tonumber(ARGV[2]) + 1, #KEYS - FIXED
local replies, waits = {}, 0
local lease = redis.call('ZSCORE', KEYS[1], worker)
if not lease or tonumber(lease) <= now then
  for i = 1, n do replies[i] = 'L' end
  return replies
end

local tokens, keys = {}, {}
for i = 1, n do
  tokens[i] = ARGV[ARGS * i]
  keys[i] = KEYS[FIXED + i]
end
local claims = redis.call('HMGET', KEYS[3], unpack(tokens))
local entries = redis.call('MGET', unpack(keys))
local sent_now = {}                    -- ledger key -> entry, of this batch
local ledger_sets, claim_sets = {}, {} -- written at once at the end
local busy = {}                        -- account -> why its jobs wait, from before this batch

local function account_state(account)
  local l = limits_of(KEYS[8], account)
  local g = gate_load(KEYS[7], account, l)
  if busy[account] == nil then
    busy[account] = redis.call('ZSCORE', KEYS[6], account) and 'q' or false
    local held = redis.call('HGET', KEYS[9], account)
    local till = held and tonumber(string.match(held, '^%d+'))
    if held and (till == 0 or till > now) then
      busy[account] = 'm'
      g.manual = till == 0 and '+inf' or ms(till)
    end
  end
  return g, l
end

local function wait(token, account, why)
  local record = record_of(token, redis.call('HGET', KEYS[2], token))
  park_waiting(KEYS[4], KEYS[5], KEYS[6], account, string.match(token, '^%d+'), record)
  redis.call('HDEL', KEYS[2], token)
  redis.call('HDEL', KEYS[3], token)
  waits = waits + 1
  local g = gates_seen[account]
  g.touched = true
  if g.probe == token then g.probe, g.till = '-', now end
  return 'W' .. why
end

-- What the ledger says against sending, or nil.
local function ledger_refuses(entry, kind, hash)
  if not entry then return nil end
  if string.sub(entry, 3, 2 + #hash) ~= hash then return 'K' end
  local state = string.sub(entry, 1, 1)
  if state == 'C' then return 'D' .. entry end
  if state == 'U' then return 'U' .. entry end
  if kind == 'L' and state == 'L' then return nil end
  return 'B'
end

local function admit(i)
  if not claims[i] then return 'L' end
  if claims[i] ~= '' then return 'G' end
  local token, kind, hash = tokens[i], string.sub(ARGV[ARGS * i + 1], 1, 1), ARGV[ARGS * i + 2]
  local account = string.sub(ARGV[ARGS * i + 1], 2)
  local refused = ledger_refuses(sent_now[keys[i]] or entries[i], kind, hash)
  if refused then return refused end
  local g, l = account_state(account)
  if string.sub(token, -1) ~= 'g' then
    local why = busy[account] or gate_closed(g, l)
    if why then return wait(token, account, why) end
    gate_take_token(g, l, token)
  elseif busy[account] == 'm' then
    return wait(token, account, 'm')
  elseif l.conc > 0 and g.conc >= l.conc then
    return wait(token, account, 'c')
  end
  g.conc = g.conc + 1
  g.dirty = true
  if kind == 'P' then
    local entry = 'S ' .. hash .. ' ' .. worker .. ' ' .. token
    sent_now[keys[i]] = entry
    ledger_sets[#ledger_sets + 1] = keys[i]
    ledger_sets[#ledger_sets + 1] = entry
  end
  claim_sets[#claim_sets + 1] = token
  claim_sets[#claim_sets + 1] = kind .. string.sub(keys[i], key_start)
  return 'G'
end

for i = 1, n do replies[i] = admit(i) end
if #ledger_sets > 0 then redis.call('MSET', unpack(ledger_sets)) end
for account, g in pairs(gates_seen) do
  if g.dirty or g.touched then gate_save(KEYS[7], account, g) end
  if g.touched then
    if g.manual then redis.call('ZADD', KEYS[6], 'XX', g.manual, account)
    else gate_schedule(KEYS[6], account, g, limits_seen[account]) end
  end
end
if #claim_sets > 0 then redis.call('HSET', KEYS[3], unpack(claim_sets)) end
if waits > 0 then redis.call('HINCRBY', KEYS[10], 'waits', waits) end
return replies
