-- Takes from a worker whose lease ran out what it held: jobs never begun go back to the head of the queue and burn nothing; jobs
-- whose request had begun become unknown (state U) and due at once, one recovery counted; look-ups that were under way are due
-- again, one recovery counted too. One call is about one batch (claims.lua). The caller reads what is held (held.lua), sends
-- the newest batch first, so that the oldest job ends at the very head, and comes again until nothing is left. A living worker
-- that found begun claims of its own that it does not know (Redis lost their settlement) does the same to these.
-- uses: types clock gate gate_load gate_pass claims record
-- KEYS  1 jobs  2 delayed  3 parked  4 gates  5 accounts  6 limits  7 workers  8 workers:info  9 stats
--       10 claims:<dead>  11 batch:<dead>:<n>; from 12 on, per begun claim: order:<account>:<key>
-- ARGV  1 dead worker  2 n; "": nothing is left, it is to be struck off  3 "1": a living worker's own, and only the begun claims
--       that follow; else ""; then per begun claim its place
-- Returns  { "ALIVE" } if it renewed its lease meanwhile, else { "OK", batches left, jobs given back, jobs made unknown }
-- A claim that begun since the caller looked, so that its ledger key is not here, stays.
local wrong = wrong_type({ 'LLEN', 'ZCARD', 'HLEN', 'ZCARD', 'HLEN', 'HLEN', 'ZCARD', 'HLEN', 'HLEN', 'HLEN', 'LLEN' })
if wrong then return wrong end
pass_without_memory(KEYS[10])
local dead, n, is_dead = ARGV[1], ARGV[2], ARGV[3] == ''
if is_dead then
  local lease = call('ZSCORE', KEYS[7], dead)
  if lease and tonumber(lease) > now then return { 'ALIVE' } end
  call('ZADD', KEYS[7], 'XX', 0, dead) -- should it come back between two batches, beat tells it
end
local stored = n ~= '' and call('HGET', KEYS[10], n)
local b = stored and batch_of(stored)
local given, unknown, fresh = 0, 0, 0
local begun = {} -- claim -> "account:key"
if b then each_begun(b, function(i, account_key) begun[i] = account_key end) end

-- Whether the ledger says that this very claim is sending, it knows from now on that nobody is.
local function ledger_unsure(key, i)
  local entry = try('GET', key)
  local hash, holder, claim = string.match(type(entry) == 'string' and entry or '', '^S (%S+) (%S+) (%S+)$')
  if holder == dead and claim == n .. '.' .. ms(i - 1) then call('SET', key, 'L ' .. hash .. ' ' .. ms(now)) end
end

local function recover_begun(key, i)
  local letter = b and b.letters[i] or ENDED
  if letter == ENDED or letter == HELD then return end
  local number, looked_up = ms(b.first + i - 1), letter == 76 or letter == 108 -- L, l
  if is_counted(letter) then
    local g = gate_load(KEYS[5], KEYS[6], string.match(begun[i], '^[^:]+'))
    g.conc, g.dirty = math.max(0, g.conc - 1), true
    if g.probe == number then g.probe, g.till = '-', now end
  end
  local record = claim_record(b, i, KEYS[11])
  if record then
    local recoveries = math.min(9, (tonumber(string.sub(record, 1, 1)) or 0) + 1)
    record = ms(recoveries) .. (looked_up and string.sub(record, 2, 2) or 'U') .. string.sub(record, 3)
    park_delayed(KEYS[3], KEYS[2], number, record, number)
    if looked_up then given = given + 1 else unknown = unknown + 1 end
  end
  ledger_unsure(key, i)
  claim_ends(b, i)
end

local function recover_held()
  for i = b.count, 1, -1 do
    if b.letters[i] == HELD then
      local record = claim_record(b, i, KEYS[11])
      if record then
        fresh = fresh + give_back(KEYS[1], KEYS[3], KEYS[2], ms(b.first + i - 1), record)
        given = given + 1
      end
      claim_ends(b, i)
    end
  end
end

for i = 4, #ARGV do recover_begun(KEYS[8 + i], ARGV[i] + 1) end
if b and is_dead then recover_held() end
gates_schedule(KEYS[4])
gates_save(KEYS[5])
if fresh > 0 then call('HINCRBY', KEYS[9], 'taken', -fresh) end
if unknown > 0 then call('HINCRBY', KEYS[9], 'recovered_unknown', unknown) end
if given > 0 then call('HINCRBY', KEYS[9], 'recovered', given) end
if b and b.left == 0 then
  call('HDEL', KEYS[10], n)
  call('UNLINK', KEYS[11])
elseif b then
  call('HSET', KEYS[10], n, batch_text(b))
end
local left = call('HLEN', KEYS[10])
if left == 0 and is_dead then
  call('ZREM', KEYS[7], dead)
  call('HDEL', KEYS[8], dead)
end
return { 'OK', ms(left), ms(given), ms(unknown) }
