-- Workers of another format died. Those that hold nothing are struck off; when none is left, data of an older format are ours.
-- What such a one still holds is for its own version to recover: only that knows in which form it stands.
-- uses: types clock format_of
-- KEYS  1 format  2 workers  3 workers:info  4 stats; from 5 on, per worker, where those of formats 1 and 2 kept what they held:
--       inflight:<worker>, claims:<worker>
-- ARGV  1 the number of our format  2 the oldest that can be taken over; then the workers
-- Returns  { "OK", the format that was taken over, or "" }, or what format_of.lua refuses with; there, -<n>: it ran out, and n
--   jobs are held
local wrong = wrong_type({ false, 'ZCARD', 'HLEN', 'HLEN' })
if wrong then return wrong end
local held = {}
for i = 3, #ARGV do
  local worker, inflight, claims = ARGV[i], KEYS[2 * i - 1], KEYS[2 * i]
  local lease = call('ZSCORE', KEYS[2], worker)
  held[worker] = math.max(call('HLEN', inflight), call('HLEN', claims))
  if lease and tonumber(lease) <= now and held[worker] == 0 then
    call('ZREM', KEYS[2], worker)
    call('HDEL', KEYS[3], worker)
    call('HDEL', KEYS[4], 'turn:' .. worker)
  end
end
local refusal, from = format_refusal(KEYS[1], { KEYS[4] }, KEYS[2], KEYS[3], '', ARGV[1], ARGV[2], true, true)
if type(refusal) == 'table' and refusal[3] then
  local others = refusal[3]
  for i = 1, #others, 3 do
    if others[i + 2] == '0' and (held[others[i]] or 0) > 0 then others[i + 2] = ms(-held[others[i]]) end
  end
end
return refusal or { 'OK', from or '' }
