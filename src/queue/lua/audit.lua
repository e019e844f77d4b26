-- The books of a queue at one instant. Changes nothing.
-- uses: types clock gate claims
-- KEYS  1 stats  2 jobs  3 taken  4 delayed  5 parked  6 waiting  7 gates  8 accounts  9 workers  10 dead
--       11 dead:entries  12 results; from 13 on, per worker: claims:<worker>. It reads
--       batch:<worker>:* of these workers too, whose names nobody knows ahead
-- ARGV  1 how many parked jobs may be looked at one by one  2 … the workers, also those that only their
--       keys tell of
-- Returns  { "AGAIN" } where a worker is not among them, else { "OK", { name, number, … }, { breach, … },
--   number of breaches }
--
-- Every job that dray has taken from `jobs` is in exactly one place. `taken` counts jobs when they are
-- claimed fresh, less those given back as they were pushed; so at every instant
--   taken + dead_retried = settled + died + delayed + waiting + in flight
--   died + dead_imported = dead letters + dead_retried + dead_resolved + dead_dropped
-- where in flight are the claims of all claims:<worker> that have not ended, and delayed and waiting share `parked`. Jobs in
-- `jobs` and in the list `taken` (picked up, not yet claimed) are not counted yet.
local BREACHES_MAX = 100
local most = tonumber(ARGV[1])
local breaches, breach_count, numbers = {}, 0, {}

local function breach(...)
  breach_count = breach_count + 1
  if #breaches < BREACHES_MAX then breaches[#breaches + 1] = string.format(...) end
end

local function number(name, n)
  numbers[#numbers + 1] = name
  numbers[#numbers + 1] = string.format('%.0f', n)
  return n
end

local known, living = {}, {}
for i = 2, #ARGV do known[ARGV[i]] = true end
for _, name in ipairs(redis.call('ZRANGE', KEYS[9], 0, -1)) do
  if not known[name] then return { 'AGAIN' } end
  living[name] = true
end

-- uses: audit_claims
local accounts = redis.call('HGETALL', KEYS[8])
for i = 1, #accounts, 2 do
  local counted = gate_of(accounts[i + 1], limits_of(nil)).conc
  local there = begun_by[accounts[i]] or 0
  if counted ~= there then
    breach('account %s counts %d requests under way, its claims are %d', accounts[i], counted, there)
  end
  begun_by[accounts[i]] = nil
end
for account, n in pairs(begun_by) do breach('account %s has %d requests under way and no gate', account, n) end

-- Parked: each in exactly one of delayed and waiting; who waits is watched by a gate.
local parked, delayed = redis.call('HLEN', KEYS[5]), redis.call('ZCARD', KEYS[4])
local waiting = redis.call('ZCARD', KEYS[6])
if parked ~= delayed + waiting then
  breach('%d jobs are parked, but %d are delayed and %d waiting', parked, delayed, waiting)
end
local looked = math.max(parked, delayed + waiting) <= most
if looked then
  local place, gated = {}, {}
  for _, id in ipairs(redis.call('HKEYS', KEYS[5])) do place[id] = '' end
  local function found(id, where)
    if not place[id] then breach('%s names job %s, which is not parked', where, id)
    elseif place[id] ~= '' then breach('job %s is in %s and in %s', id, place[id], where)
    else place[id] = where end
  end
  for _, id in ipairs(redis.call('ZRANGE', KEYS[4], 0, -1)) do found(id, 'delayed') end
  for _, member in ipairs(redis.call('ZRANGE', KEYS[6], 0, -1)) do
    local account, id = string.match(member, '^(%S+) 0*(%d+)$')
    found(id or member, 'waiting')
    if account and gated[account] == nil then
      gated[account] = redis.call('ZSCORE', KEYS[7], account) and true or false
      if not gated[account] then breach('jobs of account %s wait, and no gate watches over them', account) end
    end
  end
  for id, where in pairs(place) do
    if where == '' then breach('job %s is parked, but neither delayed nor waiting', id) end
  end
end

local stats, list = {}, redis.call('HGETALL', KEYS[1])
for i = 1, #list, 2 do stats[list[i]] = tonumber(list[i + 1]) end
local function stat(name) return number(name, stats[name] or 0) end
local taken, retried = stat('taken'), stat('dead_retried')
local settled, died = stat('settled'), stat('died')
local left = taken + retried - settled - died - parked - inflight
if left ~= 0 then
  breach('the books do not balance: taken %.0f + retried %.0f, but settled %.0f + died %.0f + delayed and waiting %.0f + in flight %.0f: %.0f %s',
    taken, retried, settled, died, parked, inflight, math.abs(left), left > 0 and 'missing' or 'too many')
end
local dead, imported = redis.call('ZCARD', KEYS[10]), stat('dead_imported')
local resolved, dropped = stat('dead_resolved'), stat('dead_dropped')
if dead ~= redis.call('HLEN', KEYS[11]) then
  breach('%d dead letters are listed, %d are kept', dead, redis.call('HLEN', KEYS[11]))
end
left = died + imported - dead - retried - resolved - dropped
if left ~= 0 then
  breach('the dead letters do not balance: died %.0f + imported %.0f, but there are %.0f + retried %.0f + resolved %.0f + dropped %.0f: %.0f %s',
    died, imported, dead, retried, resolved, dropped, math.abs(left), left > 0 and 'missing' or 'too many')
end
number('jobs', redis.call('LLEN', KEYS[2]))
number('picked_up', redis.call('LLEN', KEYS[3]))
number('delayed', delayed)
number('waiting', waiting)
number('in_flight', inflight)
number('begun', begun)
number('dead', dead)
number('results', redis.call('LLEN', KEYS[12]))
number('looked_at', looked and parked or 0)
return { 'OK', numbers, breaches, breach_count }
