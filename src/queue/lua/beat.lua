-- Renews the worker's lease on the queue, by Redis's own clock, and says whose ran out. Where that clock went back since any
-- worker's last beat, what is due by the old one is put right first (clock_back.lua).
-- uses: types clock next_look format_of claims
-- KEYS  1 workers  2 workers:info  3 delayed  4 gates  5 taken  6 claims:<worker>  7 accounts  8 stats  9 pauses
--       10 format
-- ARGV  1 worker  2 lease ms  3 what the worker says of itself (JSON; "" leaves what is there)
--       4 the number of our format  5 the oldest that can be taken over (format_of.lua)
-- Returns  { now ms, next ms (as claim), lease, claims the worker holds, ms by which the clock went back or 0,
--          worker whose lease ran out, …; where there is anything of it to tell, { the format that was taken over or "",
--          strangers } }; or, and nothing was done, what format_of.lua refuses with
--   lease  K it was alive; E it had run out, nobody recovered the worker; N the worker is new here, or
--          was recovered, if only in part (score 0)
local wrong = wrong_type({ 'ZCARD', 'HLEN', 'ZCARD', 'ZCARD', 'LLEN', 'HLEN', 'HLEN', 'HLEN', 'HLEN' })
if wrong then return wrong end
pass_without_memory(KEYS[2])
local was = redis.call('ZSCORE', KEYS[1], ARGV[1])
local refusal, taken_over = format_refusal(KEYS[10], { KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[7], KEYS[8], KEYS[9] },
  KEYS[1], KEYS[2], ARGV[1], ARGV[4], ARGV[5], not was, true)
if refusal then return refusal end
local STEP = 1000 -- ms; by less a clock that is kept right may be moved at any time
local back = (tonumber(redis.call('HGET', KEYS[8], 'clock')) or 0) - now
if back > STEP then
  -- uses: clock_back
end
redis.call('HSET', KEYS[8], 'clock', ms(now))
local expired = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ms(now), 'LIMIT', 0, 16)
redis.call('ZADD', KEYS[1], ms(now + tonumber(ARGV[2])), ARGV[1])
if ARGV[3] ~= '' then redis.call('HSET', KEYS[2], ARGV[1], ARGV[3]) end
-- Redis keeps a hash of up to 512 short values as a list, and reading the gates of a turn, or its counters, would be as
-- many walks. One long value makes it a table for as long as it has anything in it (or until Redis loads it anew).
for i = 7, 8 do
  if size[i] >= 16 and size[i] <= 512 then
    redis.call('HSET', KEYS[i], '', string.rep('-', 65))
    redis.call('HDEL', KEYS[i], '')
  end
end
local next = redis.call('LLEN', KEYS[5]) > 0 and '0' or look_again(KEYS[3], KEYS[4])
local others = (ARGV[3] ~= '' or #expired > 0) and strangers(KEYS[1], KEYS[2], ARGV[1], ARGV[4], ARGV[4]) or {}
local strange = {}
for i = 1, #others, 3 do strange[others[i]] = true end
local reply = { ms(now), next, (not was or tonumber(was) == 0) and 'N' or 'K',
  ms(claims_left(KEYS[6])), back > STEP and ms(back) or '0' }
for _, name in ipairs(expired) do
  if name == ARGV[1] then reply[3] = reply[3] == 'K' and 'E' or 'N'
  elseif not strange[name] then reply[#reply + 1] = name end -- theirs are not ours to recover
end
if taken_over or #others > 0 then reply[#reply + 1] = { taken_over or '', others } end
return reply
