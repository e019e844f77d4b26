-- Whether a command of this version may write into a queue, or understands what it reads there.
-- uses: types clock format_of
-- KEYS  1 format  2 workers  3 workers:info  4 stats  5 pauses  6 dead  7 delayed  8 gates
-- ARGV  1 the number of our format  2 the oldest that can be taken over  3 "write": a fresh queue gets our number; "look"
-- Returns  { "OK", the number that stands, or "" where there is none }, or what format_of.lua refuses with; nothing but a worker
--   takes older data over
local refusal = format_refusal(KEYS[1], { KEYS[2], KEYS[4], KEYS[5], KEYS[6], KEYS[7], KEYS[8] }, KEYS[2], KEYS[3],
  '', ARGV[1], ARGV[2], false, false)
if refusal then return refusal end
if ARGV[3] == 'write' then call('SET', KEYS[1], ARGV[1], 'NX') end
return { 'OK', call('GET', KEYS[1]) or '' }
