-- Takes from a worker whose lease ran out what it held: jobs never begun go back to the head of the
-- queue and burn nothing; jobs whose request had begun become unknown (state U) and due at once, one
-- recovery counted; look-ups that were under way are due again, one recovery counted too. Works through
-- the dead worker's jobs in pieces; the caller calls again until nothing is left. A living worker that
-- found begun claims of its own that it does not know (Redis lost their settlement) does the same to these.
-- uses: kinds clock gate gate_load passage record
-- KEYS  1 jobs  2 delayed  3 parked  4 gates  5 accounts  6 limits  7 workers  8 workers:info  9 stats
--       10 inflight:<dead>  11 claims:<dead>; from 12 on, per begun claim: order:<account>:<key>
-- ARGV  1 dead worker  2 how many jobs to move at most; 0: only the begun claims that follow,
--       of a living worker; then per begun claim: token
-- Returns  { "ALIVE" } if it renewed its lease meanwhile, else { "OK", claims left, jobs given back, jobs
--   made unknown }
local wrong = wrong_kind({ 'LLEN', 'ZCARD', 'HLEN', 'ZCARD', 'HLEN', 'HLEN', 'ZCARD', 'HLEN', 'HLEN', 'HLEN', 'HLEN' })
if wrong then return wrong end
pass_without_memory(KEYS[11])
local dead, most = ARGV[1], tonumber(ARGV[2])
if most > 0 then
  local lease = redis.call('ZSCORE', KEYS[7], dead)
  if lease and tonumber(lease) > now then return { 'ALIVE' } end
  redis.call('ZADD', KEYS[7], 'XX', 0, dead) -- should it come back between two pieces, beat tells it
end
-- Without it, what the worker thinks it holds is in doubt (fence.lua).
local its_turns = 'turn:' .. dead
redis.call('HDEL', KEYS[9], its_turns)
local given, unknown, fresh = 0, 0, 0

local function recover_begun(key, token)
  local begun = redis.call('HGET', KEYS[11], token)
  local record = redis.call('HGET', KEYS[10], token)
  if not begun then return end
  local kind, account = string.match(begun, '^(%a)([^:]+):')
  if kind == 'P' or kind == 'L' then
    local g = gate_load(KEYS[5], KEYS[6], account)
    g.conc, g.dirty = math.max(0, g.conc - 1), true
    if g.probe == token then g.probe, g.till = '-', now end
  end
  if not record then
    redis.call('HDEL', KEYS[11], token)
    return
  end
  local id = string.match(token, '^%d+')
  record = record_of(token, record)
  local recoveries = math.min(9, (tonumber(string.sub(record, 1, 1)) or 0) + 1)
  local looked_up = kind == 'L' or kind == 'l'
  record = ms(recoveries) .. (looked_up and string.sub(record, 2, 2) or 'U') .. string.sub(record, 3)
  if not looked_up then
    local entry = redis.pcall('GET', key)
    local hash, holder, claim = string.match(type(entry) == 'string' and entry or '', '^S (%S+) (%S+) (%S+)$')
    if holder == dead and claim == token then
      redis.call('SET', key, 'L ' .. hash .. ' ' .. ms(now))
    end
    unknown = unknown + 1
  else
    given = given + 1
  end
  park_delayed(KEYS[3], KEYS[2], id, record, id)
  redis.call('HDEL', KEYS[10], token) -- first: the other way round it would be one that never began, for a moment
  redis.call('HDEL', KEYS[11], token)
end

-- Claims that never begun, the newest first, so that the oldest ends at the very head.
local function recover_claimed()
  local begun, tokens = {}, {}
  for _, token in ipairs(redis.call('HKEYS', KEYS[11])) do begun[token] = true end
  for _, token in ipairs(redis.call('HKEYS', KEYS[10])) do
    if not begun[token] then tokens[#tokens + 1] = token end
  end
  table.sort(tokens, function(a, b)
    return tonumber(string.match(a, '^%d+')) > tonumber(string.match(b, '^%d+'))
  end)
  for i = 1, math.min(#tokens, most) do
    local record = redis.call('HGET', KEYS[10], tokens[i])
    if record then
      fresh = fresh + give_back(KEYS[1], KEYS[3], KEYS[2], string.match(tokens[i], '^%d+'), record_of(tokens[i], record))
      given = given + 1
    end
    redis.call('HDEL', KEYS[10], tokens[i])
  end
end

for i = 1, #ARGV - 2 do recover_begun(KEYS[11 + i], ARGV[2 + i]) end
if most > 0 then recover_claimed() end
gates_schedule(KEYS[4])
gates_save(KEYS[5])
if fresh > 0 then redis.call('HINCRBY', KEYS[9], 'taken', -fresh) end
if unknown > 0 then redis.call('HINCRBY', KEYS[9], 'recovered_unknown', unknown) end
if given > 0 then redis.call('HINCRBY', KEYS[9], 'recovered', given) end
local left = redis.call('HLEN', KEYS[10]) + redis.call('HLEN', KEYS[11])
if left == 0 and most > 0 then
  redis.call('ZREM', KEYS[7], dead)
  redis.call('HDEL', KEYS[8], dead)
  redis.call('HDEL', KEYS[9], its_turns) -- which it may have written between two pieces
end
return { 'OK', ms(left), ms(given), ms(unknown) }
