-- What a turn reads before it changes anything, and its first write. A part of turn.lua ("-- uses: turn_state").
-- KEYS, ARGV  turn.lua's
-- Returns  what stands below, for the parts of the turn; or, where a key is of the wrong type or nothing may be written, the
--   turn's error

local alive, seq, taken                     -- our lease is; the last number that a job has; jobs taken so far
local state, seq_stored                     -- what stats has (STATE); as what the last number is stored
local jobs_n, delayed_n, waits_n, pauses_n, taken_n = 0, 0, 0, 0, 0 -- how many: jobs, delayed, gates, pauses, taken
local unread                                -- how long the results list is; an error where it is none
local batches = {}                          -- place -> the batch (claims.lua); nil where it is gone
local stands                                -- the batch that is to be claimed, where it is there already
local states, told = {}, false -- the gates of the runs' accounts, as they are stored; their limits, where Redis's count
local moved = false            -- jobs went to `delayed`, `waiting` or `jobs`
local picked = false           -- the batch of the job that a blocking pick-up gave, once it is claimed
local full                     -- why Redis refuses what takes memory
local counts = {}              -- counters of stats -> by how much they change
local settled, begun, claimed = false, false, false

local function count(name, by)
  counts[name] = (counts[name] or 0) + by
end

-- What is read need not be asked for its type: an error says it. What waits, is delayed, paused or picked up: mostly nothing is,
-- which one command says.
do
  local some = call('EXISTS', delayed_key, parked_key, waiting_key, gates_key, pauses_key, taken_key) > 0
  jobs_n, unread = try('LLEN', jobs_key), try('LLEN', results_key)
  state = try('HMGET', stats_key, 'seq', 'taken', 'limits', 'settled', 'results', 'created')
  local lease = try('ZSCORE', workers_key, argv[1])
  local held = try('HMGET', claims_key, ms(batch_n), unpack(argv, BATCHES + 1, ACCOUNTS))
  if settle_runs + begin_runs > 0 then
    states = try('HMGET', accounts_key, unpack(argv, ACCOUNTS + 1, BEGIN_AT))
    if bits % 16 >= 8 or state[3] ~= argv[4] then told = try('HMGET', limits_key, unpack(argv, ACCOUNTS + 1, BEGIN_AT)) end
  end
  if some or dies or type(jobs_n) == 'table' or state.err or type(lease) == 'table' or held.err or states.err or
    (told and told.err) then
    -- uses: types
    local wrong = wrong_type({ 'LLEN', false, 'ZCARD', 'HLEN', 'ZCARD', 'HLEN', 'ZCARD', 'ZCARD', 'HLEN', 'HLEN', 'HLEN', 'ZCARD',
      'HLEN', 'LLEN', 'HLEN' })
    if wrong then return wrong end
    jobs_n, delayed_n, waits_n, pauses_n, taken_n = size[1], size[5], size[8], size[11], size[14]
  end
  alive = lease and tonumber(lease) > now
  seq, taken = tonumber(state[1] or 0), tonumber(state[2] or 0) or 0
  if not seq or seq == 0 then
    -- uses: record
    seq = first_number(state[1], call('HLEN', parked_key))
  end
  stands = held[1] and batch_of(held[1])
  for i = 1, batches_n do
    if held[i + 1] then
      local b = batch_of(held[i + 1])
      b.n, b.list, batches[i] = argv[BATCHES + i], keys[BATCH_KEYS + i], b
    end
  end
end

-- The first write is one that is refused when Redis is full; then the rest passes. It takes the numbers that the turn may need:
-- should it end half-way, no two jobs have the same.
do
  local most = seq + settle_n + (claims and claim_n or 0) + (argv[6] ~= '' and 1 or 0)
  local written = try('HSET', stats_key, 'seq', ms(most))
  full = type(written) == 'table' and written.err
  if not full then
    seq_stored = most
  elseif string.find(full, 'OOM ', 1, true) then
    -- uses: types
    pass_without_memory(claims_key)
  else
    return redis.error_reply(full)
  end
end

-- The gate of a run's account; nil where the account is not known.
local function gate_of_run(r, account)
  local g = gates[account]
  if not g and account ~= '' then
    local text
    if told then text = told[r] else text = argv[LIMITS_AT + byte(runs, 3 * r - 1)] end
    g = gate_of(states[r], limits_of(text))
    gates[account] = g
  end
  return g
end
