-- Claims and begins in one step the one job that a blocking pick-up just moved to `taken`: what
-- an idle worker does, so that a lone job costs one round trip less. The worker has read the job. What would need
-- more than to be begun (its key is known, its account's gate is not open, …) is claimed the long way.
-- uses: kinds clock
-- KEYS  1 workers  2 inflight:<worker>  3 claims:<worker>  4 parked  5 gates  6 accounts  7 limits  8 pauses
--       9 stats  10 taken  11 delayed  12 jobs  13 order:<account>:<key>
-- ARGV  1 worker  2 the job's text, as the pick-up gave it  3 its account  4 the account's limits  5 version of the
--       limits (turn.lua)  6 hash of the order's bytes  7 NUMBERS, packed: length of the ledger keys' common beginning,
--       turn, answered, highest (turn.lua)  8 only where the job comes from outside: it lies in no list, and comes into none
-- Returns  { token, letter as of begin (G or C), now ms, next ms (as claim), how many more jobs there are }; or {} where it
--   is to be claimed the long way: nothing was done. After a lost reply the worker does not ask again; it looks for claims it does not know.

local argv, keys = ARGV, KEYS
-- What waits, is delayed or is paused: mostly nothing is.
local waits = call('EXISTS', keys[5], keys[8], keys[11]) > 0
if waits then
  local wrong = wrong_kind({ false, false, false, false, 'ZCARD', false, false, 'HLEN', false, false, 'ZCARD' })
  if wrong then return wrong end
end
local account, key, text = argv[3], keys[13], argv[4]
local lease = try('ZSCORE', keys[1], argv[1])
local stored = try('HGET', keys[6], account)
local state = try('HMGET', keys[9], 'seq', 'taken', 'limits', 'turn:' .. argv[1])
if not state.err and state[3] ~= argv[5] then text = try('HGET', keys[7], account) end
-- An error is a table.
if type(lease) == 'table' or type(stored) == 'table' or type(text) == 'table' or state.err then
  return wrong_kind({ 'ZCARD', false, false, false, false, 'HLEN', 'HLEN', false, 'HLEN' })
end
if not lease or tonumber(lease) <= now then return {} end
if waits then
  local paused = call('HMGET', keys[8], '', account)
  if paused[1] or paused[2] or call('ZSCORE', keys[5], account) then return {} end
end

-- Room for one more request? Of an account without limits nothing is stored.
local letter, kept = 'G'
local rate, conc = 1, 1
if not stored and text and byte(text) == 1 then
  local _
  _, rate, _, conc = struct.unpack('<bddd', text)
end
if rate > 0 or conc > 0 then
  -- uses: gate gate_read
  local l = limits_of(text)
  local g = gate_of(stored, l)
  if g.mode or (l.rate > 0 and g.tokens < 1) or (l.conc > 0 and g.conc >= l.conc) then return {} end
  if l.conc > 0 then letter = 'C' end
  if l.rate > 0 or l.conc > 0 then
    kept = struct.pack(QUIET, 1, l.rate > 0 and g.tokens - 1 or g.tokens, now, l.conc > 0 and g.conc + 1 or g.conc, g.fails)
  end
end

local prefix_n, turn, answered, highest = struct.unpack('<I2ddd', argv[7])
local seq, taken = tonumber(state[1] or 0), tonumber(state[2] or 0) or 0
if not seq or seq == 0 then
  -- uses: record
  seq = first_number(state[1], call('EXISTS', keys[4]))
end
-- uses: fence
seq = seq + 1
local token = ms(seq) .. '.' .. time[2] .. 'f'
-- The first write is one that is refused when Redis is full, or where it may not be written to. Of those behind it two may
-- find that it is to go the long way, one a key of the wrong type: then what was written is taken back.
local written = try('HSET', keys[2], token, argv[2])
if type(written) == 'table' then
  return wrong_kind({ false, 'HLEN' }) or written
end
local free = call('SETNX', key, 'S ' .. argv[6] .. ' ' .. argv[1] .. ' ' .. token) == 1
local there = free and (argv[8] and 1 or try('LREM', keys[10], -1, argv[2]))
local begun = there == 1 and try('HSET', keys[3], token, (letter == 'C' and 'P' or 'p') .. string.sub(key, prefix_n + 1))
if type(begun) ~= 'number' then
  call('HDEL', keys[2], token)
  if free then call('DEL', key) end
  if there == 1 and not argv[8] then call('RPUSH', keys[10], argv[2]) end
  return wrong_kind({ false, false, begun and 'HLEN', false, false, false, false, false, false, 'LLEN' }) or {}
end
call('HSET', keys[9], 'seq', ms(seq), 'taken', ms(taken + 1), 'turn:' .. argv[1], fence)
if kept then call('HSET', keys[6], account, kept) end
local next = '-1'
if waits then
  -- uses: look
  next = look_again(keys[11], keys[5])
end
-- It was no lone job where Redis was long in saying that there are jobs: it is slow, or far away.
local more = try('LLEN', keys[12])
return { token, letter, ms(now), next, type(more) == 'number' and more or 0 }
