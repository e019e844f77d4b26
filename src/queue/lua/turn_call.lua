-- What a call of turn.lua brings, by name. A part of it ("-- uses: turn_call").
-- KEYS, ARGV  turn.lua's
-- Returns  its keys and numbers, and where its columns are in argv

local keys, argv, sub, concat = KEYS, ARGV, string.sub, table.concat
-- NUMBERS, little-endian: how many settlements, runs of them, begins, runs of them, limits, ops, batches; the length of the
-- ledger keys' common beginning ("dray:{q}:order:"); bits: 1 sent again, 2 claims, 4 a job dies, 8 the limits of an account
-- are not known, 16 the text comes from outside (pick.lua); the number of the batch that is claimed; how many to claim (0 only
-- gives back what blocking pick-ups took); bytes to claim at most (one job always fits); results high water (0: none)
local settle_n, settle_runs, begin_n, begin_runs, limits_n, ops_n, batches_n, prefix_n, bits, batch_n, claim_n, room_bytes,
  high_water = struct.unpack('<I2I2I2I2I2I2I2I2I2dddd', argv[2])
local again, claims, dies, outside = bits % 2 >= 1, bits % 4 >= 2, bits % 8 >= 4, bits >= 16
local jobs_key, results_key, dead_key, entries_key, delayed_key, parked_key, waiting_key, gates_key, accounts_key,
  limits_key, pauses_key, workers_key, stats_key, taken_key, claims_key, batch_key = unpack(keys, 1, 16)
local LIMITS_AT = 7
local OPS = LIMITS_AT + limits_n
local BATCHES = OPS + ops_n
local ACCOUNTS = BATCHES + batches_n
local BEGIN_AT = ACCOUNTS + settle_runs + begin_runs -- before the begins' column
local SETTLE_AT = BEGIN_AT + begin_n                 -- before the settlements' columns
local SETTLE_KEYS, BEGIN_KEYS = 16, 16 + settle_n
local BATCH_KEYS = BEGIN_KEYS + begin_n
local LIST_KEYS = BATCH_KEYS + batches_n
local runs, place = argv[3], { byte(argv[7], 1, -1) } -- of job i, from 3 * i - 2 on
