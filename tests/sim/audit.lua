-- Where every pushed text is, and whether dray's own books agree with each other.
-- ARGV  1 number of jobs pushed (their texts carry "~0~" to "~n-1~")
-- Returns  { places ("j,i,r,df,…"), faults, leases "queue worker until …", claims "worker token B|- …",
--   ledger "account key letter …" }
-- places  j jobs  t taken  i in flight  p parked  r result  d dead  f result of a dead one
local pushed = tonumber(ARGV[1])
local place, faults, leases, claimed, ledger = {}, {}, {}, {}, {}

local function fault(...)
  faults[#faults + 1] = table.concat({...}, ' ')
end

local function note(text, letter)
  local n = tonumber(string.match(text, '~(%d+)~'))
  if not n then return fault('a text without a mark in', letter) end
  place[n] = (place[n] or '') .. letter
end

local keys = redis.call('KEYS', 'dray:*')
table.sort(keys)
local queues = {}
local entries = {} -- order key -> entry
for _, key in ipairs(keys) do
  local q, kind, rest = string.match(key, '^dray:{(%w+)}:(%a+):?(.*)$')
  queues[q] = queues[q] or { conc = {}, claims = {}, inflight = {}, lists = {}, batches = {}, parked = {}, held = 0 }
  local s = queues[q]
  if kind == 'jobs' then
    for _, t in ipairs(redis.call('LRANGE', key, 0, -1)) do note(t, 'j') end
  elseif kind == 'taken' then
    for _, t in ipairs(redis.call('LRANGE', key, 0, -1)) do note(t, 't') end
  elseif kind == 'batch' then
    s.lists[rest] = redis.call('LRANGE', key, 0, -1)
  elseif kind == 'claims' then
    local all = redis.call('HGETALL', key)
    for i = 1, #all, 2 do s.batches[rest .. ':' .. all[i]] = all[i + 1] end
  elseif kind == 'parked' then
    local all = redis.call('HGETALL', key)
    for i = 1, #all, 2 do
      note(all[i + 1], 'p')
      s.parked[all[i]] = true
    end
  elseif kind == 'results' then
    for _, t in ipairs(redis.call('LRANGE', key, 0, -1)) do
      note(t, string.find(t, '"status":"failed"', 1, true) and 'f' or 'r')
    end
  elseif kind == 'dead' and rest == 'entries' then
    for _, t in ipairs(redis.call('HVALS', key)) do note(t, 'd') end
  elseif kind == 'workers' and rest == '' then
    local all = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')
    for i = 1, #all, 2 do leases[#leases + 1] = q .. ' ' .. all[i] .. ' ' .. all[i + 1] end
  elseif kind == 'order' then
    entries[key] = redis.call('GET', key)
    local account, number = string.match(rest, '^(%w+):key%-(%d+)$')
    if account then
      ledger[#ledger + 1] = account .. ' ' .. number .. ' ' .. string.sub(entries[key], 1, 1)
    end
  end
end

-- A batch, as claims.lua says: notes the texts of the claims that have not ended, and what these do.
local function look_at_batch(s, name, stored)
  local first, count, due, passed, left = struct.unpack('<dHHHH', stored)
  local worker, n = string.match(name, '^(.*):(%d+)$')
  local list, letters, keys_of, at = s.lists[name] or {}, string.sub(stored, 17, 16 + count), {}, 17 + count
  if #list ~= count or #letters ~= count then fault('batch', name, 'of', count, 'has', #list, 'jobs,', #letters, 'letters') end
  if due + passed > count then fault('batch', name, 'has more records than claims') end
  while at < #stored do
    local place, length = struct.unpack('<HH', stored, at)
    keys_of[place + 1], at = string.sub(stored, at + 4, at + 3 + length), at + 4 + length
  end
  for i = 1, count do
    local letter, id = string.sub(letters, i, i), worker .. ' ' .. n .. '.' .. (i - 1)
    if letter ~= '.' then
      note(list[i] or '', 'i')
      s.held, left, s.inflight[id] = s.held + 1, left - 1, true
      if i <= due + passed and not string.find(list[i] or '', '^%d%a%d* ') then fault('no record', id) end
      if s.parked[string.format('%d', first + i - 1)] then fault('in flight and parked', id) end
    end
    if letter ~= '.' and letter ~= '-' then
      if not keys_of[i] then fault('begun without a key', id) end
      s.claims[id] = letter .. (keys_of[i] or '')
      local account = string.match(keys_of[i] or '', '^[^:]+')
      if letter == 'P' or letter == 'L' then s.conc[account] = (s.conc[account] or 0) + 1 end
    end
  end
  if left ~= 0 then fault('batch', name, 'miscounts what is left by', left) end
  if letters == string.rep('.', count) then fault('batch', name, 'has ended, and stays') end
  s.lists[name] = nil
end

for q, s in pairs(queues) do
  local base = 'dray:{' .. q .. '}:'
  for name, stored in pairs(s.batches) do look_at_batch(s, name, stored) end
  for name in pairs(s.lists) do fault('a list of no batch', name) end
  for id in pairs(s.inflight) do claimed[#claimed + 1] = id .. (s.claims[id] and ' B' or ' -') end
  -- concurrency counters are the begun claims that count
  if redis.call('ZCARD', base .. 'workers') > 0 and not tonumber(redis.call('GET', base .. 'format')) then
    fault('workers, and no format:', q)
  end
  local accounts = redis.call('HGETALL', base .. 'accounts')
  for i = 1, #accounts, 2 do
    local conc = select(4, struct.unpack('<bddI4', accounts[i + 1])) -- gate.lua
    if conc ~= (s.conc[accounts[i]] or 0) then
      fault('concurrency of', accounts[i], 'is', conc, 'with', s.conc[accounts[i]] or 0, 'begun')
    end
    s.conc[accounts[i]] = nil
  end
  for account in pairs(s.conc) do fault('begun claims without a gate', account) end
  -- a parked job is in exactly one of delayed and waiting
  local parked = 0
  for _ in pairs(s.parked) do parked = parked + 1 end
  local seen, gates = 0, {}
  for _, id in ipairs(redis.call('ZRANGE', base .. 'delayed', 0, -1)) do
    seen = seen + 1
    if not s.parked[id] then fault('delayed, but not parked:', id) end
    s.parked[id] = nil
  end
  for _, member in ipairs(redis.call('ZRANGE', base .. 'waiting', 0, -1)) do
    local account, id = string.match(member, '^(%S+) 0*(%d+)$')
    seen = seen + 1
    if not s.parked[id] then fault('waiting, but not parked:', member) end
    s.parked[id] = nil
    if gates[account] == nil then
      gates[account] = true
      if not redis.call('ZSCORE', base .. 'gates', account) then fault('nobody looks at', account) end
    end
  end
  for id in pairs(s.parked) do fault('parked for ever:', id) end
  -- the books: taken = settled + dead + parked + in flight
  local stats = redis.call('HMGET', base .. 'stats', 'taken', 'settled', 'died')
  local taken, ended = tonumber(stats[1] or 0), tonumber(stats[2] or 0) + tonumber(stats[3] or 0)
  if taken ~= ended + parked + s.held then
    fault('taken', taken, 'is not ended', ended, '+ parked', parked, '+ in flight', s.held)
  end
  -- "sending" has a holder, and who sends has the entry
  for key, entry in pairs(entries) do
    local worker, token = string.match(entry, '^S %S+ (%S+) (%S+)$')
    if worker and string.sub(key, 1, #base) == base then
      local begun = s.claims[worker .. ' ' .. token]
      if string.upper(string.sub(begun or '', 1, 1)) ~= 'P' or string.sub(begun, 2) ~= string.sub(key, #base + 7) then fault('sending without a holder', key, entry) end
    end
  end
  for id, begun in pairs(s.claims) do
    local entry = string.upper(string.sub(begun, 1, 1)) == 'P' and entries[base .. 'order:' .. string.sub(begun, 2)]
    if entry == nil then fault('begun without an entry', id, begun) end
    if entry and string.sub(entry, 1, 1) ~= 'C' and string.sub(entry, -#id) ~= id then
      fault('begun, but the entry says', entry, 'not', id)
    end
  end
end

local places = {}
for n = 0, pushed - 1 do places[#places + 1] = place[n] or '-' end
return { table.concat(places, ','), table.concat(faults, '; '), table.concat(leases, ' '),
         table.concat(claimed, ' '), table.concat(ledger, ' ') }
