-- Lets delayed jobs go at once. What holds them for another reason (their account's gate, their not_before) still does.
-- uses: types clock
-- KEYS  1 delayed
-- ARGV  the jobs' ids
-- Returns  per job: OK, or GONE: it is not delayed (any more)
local wrong = wrong_type({ 'ZCARD' })
if wrong then return wrong end
local replies = {}
for i = 1, #ARGV do
  local due = call('ZSCORE', KEYS[1], ARGV[i])
  replies[i] = due and 'OK' or 'GONE'
  -- A thousandth apart, so that they leave in the order in which they were named.
  if due and tonumber(due) > now then call('ZADD', KEYS[1], string.format('%.3f', now + i * 0.001), ARGV[i]) end
end
return replies
