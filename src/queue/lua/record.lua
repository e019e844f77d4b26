-- Records and places, shared by the scripts that say "-- uses: record".
--
-- KEYS, ARGV, what it returns: those of the script that uses it.
--
-- A record is a job inside dray: one header line, then the exact text that was pushed.
--   header  recoveries (one digit), state (one letter), position (digits or nothing), space, JSON or
--           nothing, line feed. A fresh job's header is "0N \n"; while it is in flight it has none, so that
--           its text is not copied on its way.
--   state   N to be sent; U recovered after its request had begun (its outcome is unknown);
--           L R D to be looked up (docs/protocol.md)
--   position  its place in its account's waiting list, kept while it moves to and fro
-- parked    HASH  id -> record: every job that is delayed or waiting
-- delayed   ZSET  id by the ms when it is due; a score below 1e12 is a returned claim's number, due at
--                 once and before all others
-- waiting   ZSET  "<account> <position, 16 digits>", all scores 0: FIFO within an account

local FRESH = '0N \n'

-- The record of claim i of a batch (claims.lua), as it is kept outside of it; false where somebody took its text away.
local function claim_record(b, i, list)
  local stored = try('LINDEX', list, i - 1)
  if type(stored) ~= 'string' then return false end
  return i > b.due + b.passed and FRESH .. stored or stored
end

local function record_split(record)
  local recoveries, state, position, body = string.match(record, '^(%d)(%a)(%d*) ()')
  return recoveries, state, position, body
end

-- The last number that a job has, given what is stored of it. Where the counter was lost (an operator deleted
-- `stats`) it goes on above every number that may be in use.
local function first_number(stored, parked)
  local seq = tonumber(stored or 0)
  if not seq or (seq == 0 and parked > 0) then seq = math.floor(now / 10) end
  return seq
end

-- Takes n numbers that no job has; returns the one before the first.
local function take_numbers(stats, parked, n)
  local before = first_number(call('HGET', stats, 'seq'), call('HLEN', parked))
  call('HSET', stats, 'seq', ms(before + n))
  return before
end

-- Puts a job aside until `due` (ms, or a claim's number).
local function park_delayed(parked, delayed, id, record, due)
  call('HSET', parked, id, record)
  call('ZADD', delayed, due, id)
end

-- Puts a job into its account's waiting list, at the place it had if it had one.
local function park_waiting(parked, waiting, gates, account, id, record)
  local recoveries, state, position, body = record_split(record)
  if position == '' then
    position = id
    -- A job that was never looked at says since when it waits: "q", for its age.
    local known = string.sub(record, body, body) == '\n' and '{"q":' .. ms(now) .. '}' or ''
    record = recoveries .. state .. id .. ' ' .. known .. string.sub(record, body)
  end
  call('HSET', parked, position, record)
  call('ZADD', waiting, 0, account .. ' ' .. string.format('%016d', tonumber(position)))
  call('ZADD', gates, 'NX', '+inf', account)
end

-- Gives a job back that was claimed and never begun: it goes to the head of the queue. Returns 1 if
-- it is on `jobs` again as it was pushed, else 0.
local function give_back(jobs, parked, delayed, id, record)
  if string.sub(record, 1, #FRESH) == FRESH then
    call('RPUSH', jobs, string.sub(record, #FRESH + 1))
    return 1
  end
  park_delayed(parked, delayed, id, record, id)
  return 0
end
