-- A queue at a glance: sizes, accounts, workers; looks at no job, and at requests under way only if they are not many.
-- Changes nothing.
-- uses: types clock gate gate_load gate_pass claims pauses oldest
-- KEYS  1 jobs  2 taken  3 delayed  4 waiting  5 parked  6 dead  7 results  8 stats  9 workers  10 workers:info
--       11 accounts  12 limits  13 pauses  14 gates; from 15 on, per worker: claims:<worker>
-- ARGV  the workers, as they were a moment ago
-- Returns  { now ms, { name, number, … } sizes and counters, { account, "tokens now requests-under-way fails mode until cool probe refused code" (gate.lua), limits, pause
--   or "", waiting, … }, { worker, lease ends at (ms), what it said of itself, in flight, … }, the job to be
--   taken next or "", when the first delayed job is due or "", when the oldest dead letter died or "", the queue's pause or "",
--   then as waits.lua: the record that has waited longest, when the first overdue job was due, how many are overdue }
local function first_score(key)
  local pair = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')
  return pair[2] or ''
end

local sizes = { 'jobs', ms(redis.call('LLEN', KEYS[1])), 'picked_up', ms(redis.call('LLEN', KEYS[2])),
  'delayed', ms(redis.call('ZCARD', KEYS[3])), 'waiting', ms(redis.call('ZCARD', KEYS[4])),
  'dead', ms(redis.call('ZCARD', KEYS[6])), 'results', ms(redis.call('LLEN', KEYS[7])) }
local stats = redis.call('HGETALL', KEYS[8])
for i = 1, #stats, 2 do
  if stats[i] ~= 'limits' and stats[i] ~= 'clock' and not string.find(stats[i], '^passed:') then -- no counters
    sizes[#sizes + 1] = stats[i]
    sizes[#sizes + 1] = stats[i + 1]
  end
end

-- In flight: claims that have not ended. Requests under way: those that count are counted in the gate; of accounts without a
-- limit, the claims are, as long as they are not too many to look at.
local CLAIMS_MAX = 10000
local in_flight, claims, under_way = {}, 0, {}
for i = 1, #ARGV do
  in_flight[ARGV[i]] = claims_left(KEYS[14 + i])
  claims = claims + in_flight[ARGV[i]]
end
for k = 15, claims <= CLAIMS_MAX and #KEYS or 0 do
  for _, batch in ipairs(batches_of(KEYS[k])) do
    local b = batch_of(batch[2])
    each_begun(b, function(i, account_key)
      local name = string.match(account_key, '^[^:]+')
      if b.letters[i] ~= ENDED then under_way[name] = (under_way[name] or 0) + 1 end
    end)
  end
end

local accounts, names = {}, {}
for _, key in ipairs({ KEYS[11], KEYS[12] }) do
  for _, name in ipairs(redis.call('HKEYS', key)) do names[name] = true end
end
for name in pairs(names) do
  local g = gate_load(KEYS[11], KEYS[12], name)
  local l = g.limits
  gate_closed(g) -- a pause that is over is over
  local paused = paused_till(KEYS[13], name) and redis.call('HGET', KEYS[13], name) or ''
  accounts[#accounts + 1] = name
  accounts[#accounts + 1] = string.format('%.3f %.0f %.0f %.0f %s %.0f %.0f %s %.0f %s', g.tokens, now, under_way[name] or g.conc, g.fails,
    g.mode, g.till, g.cool, g.probe, g.refused, g.code)
  accounts[#accounts + 1] = string.format('%.6f %.0f %.0f %.0f', l.rate, l.burst, l.conc, l.failures)
  accounts[#accounts + 1] = paused
  accounts[#accounts + 1] = ms(redis.call('ZLEXCOUNT', KEYS[4], '[' .. name .. ' ', '(' .. name .. '!'))
end
local queue_paused = paused_till(KEYS[13], '') and redis.call('HGET', KEYS[13], '') or ''

local workers, ends = {}, call('ZRANGE', KEYS[9], 0, -1, 'WITHSCORES')
for i = 1, #ends, 2 do
  workers[#workers + 1] = ends[i]
  workers[#workers + 1] = ms(tonumber(ends[i + 1]))
  workers[#workers + 1] = call('HGET', KEYS[10], ends[i]) or ''
  workers[#workers + 1] = ms(in_flight[ends[i]] or 0)
end
local due, overdue_count = overdue(KEYS[3])
return { ms(now), sizes, accounts, workers, redis.call('LINDEX', KEYS[1], -1) or '', first_score(KEYS[3]),
  first_score(KEYS[6]), queue_paused, oldest_waiting(KEYS[4], KEYS[14], KEYS[5]), due, ms(overdue_count) }
