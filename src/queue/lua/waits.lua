-- What waits longest beside the queue itself. Changes nothing.
-- uses: types clock oldest
-- KEYS  1 waiting  2 gates  3 parked  4 delayed
-- ARGV  none
-- Returns  { the record of the job that has waited longest for its account or "", when the delayed job was due whose time passed
--   first (ms) or "", how many delayed jobs are past their time }
local due, count = overdue(KEYS[4])
return { oldest_waiting(KEYS[1], KEYS[2], KEYS[3]), due, count }
