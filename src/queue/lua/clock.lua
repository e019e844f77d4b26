-- Redis's clock and numbers as text, shared by the scripts that say "-- uses: clock" (after types). Workers'
-- clocks differ; this one is asked for everything that is compared between them.
-- KEYS, ARGV, what it returns: those of the script that uses it.

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + tonumber(time[2]) / 1000
local format, byte = string.format, string.byte

-- A whole number as text; of a time, the millisecond that has begun.
local function ms(n)
  return format('%d', n)
end
