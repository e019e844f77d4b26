-- What a call of turn.lua brings, by name. A part of it ("-- uses: turn_call").
-- KEYS, ARGV  turn.lua's
-- Returns  its keys and numbers, and where its columns are in argv

local keys, argv, sub, concat = KEYS, ARGV, string.sub, table.concat
-- NUMBERS, little-endian: how many settlements, runs of them, begins, runs of them, limits, ops, jobs to pop at first
-- (claim.lua); the length of the ledger keys' common beginning ("dray:{q}:order:"); bits: 1 sent again, 2 in doubt
-- (fence.lua), 4 claims, 8 a job dies, 16 the limits of an account are not known, 32 the text comes from outside (pick.lua);
-- turn, answered, highest (fence.lua); the lowest number of a claim to settle or to begin; how many to claim (0 only gives
-- back what blocking pick-ups took); bytes to claim at most (one job always fits); results high water (0: none)
local settle_n, settle_runs, begin_n, begin_runs, limits_n, ops_n, pop_n, prefix_n, bits, turn, answered, highest, lowest,
  claim_n, room_bytes, high_water = struct.unpack('<I2I2I2I2I2I2I2I2I2ddddddd', argv[2])
local again, claims, dies, outside = bits % 2 >= 1, bits % 8 >= 4, bits % 16 >= 8, bits >= 32
local jobs_key, results_key, dead_key, entries_key, delayed_key, parked_key, waiting_key, gates_key, accounts_key,
  limits_key, pauses_key, workers_key, stats_key, taken_key, inflight_key, claims_key = unpack(keys, 1, 16)
local FIXED, LIMITS_AT = 16, 6
local OPS = LIMITS_AT + limits_n
local ACCOUNTS = OPS + ops_n
local BEGIN_AT = ACCOUNTS + settle_runs + begin_runs -- before the begins' columns
local SETTLE_AT = BEGIN_AT + 2 * begin_n             -- before the settlements' columns
local runs = argv[3]
