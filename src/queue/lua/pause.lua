-- An operator pauses a queue or one of its accounts, or lifts that; waiting jobs come back at once. Of an account that is
-- held, or whose breaker is open, one probe may go at once then: the operator says that it is well again.
-- uses: types clock gate gate_load gate_pass pauses
-- KEYS  1 pauses  2 gates  3 accounts  4 limits
-- ARGV  1 account ("" is the queue)  2 pause or resume  3 pause: for how many ms (0: until resumed)  4 reason
-- Returns  { was: the entry that stood or "", is: the entry that stands or "" }
local wrong = wrong_type({ 'HLEN', 'ZCARD', 'HLEN', 'HLEN' })
if wrong then return wrong end
local account, length = ARGV[1], tonumber(ARGV[3])
local was, is = redis.call('HGET', KEYS[1], account) or '', ''
if was ~= '' and not paused_till(KEYS[1], account) then was = '' end
if ARGV[2] == 'pause' then
  is = (length > 0 and ms(now + length) or '0') .. ' ' .. ARGV[4]
  redis.call('HSET', KEYS[1], account, is)
else
  redis.call('HDEL', KEYS[1], account)
  if account ~= '' and redis.call('HEXISTS', KEYS[3], account) == 1 then
    local g = gate_load(KEYS[3], KEYS[4], account)
    if (g.mode == 'h' or g.mode == 'b') and g.probe == '-' then
      g.till, g.cool, g.dirty = now, g.limits.cooldown, true
    end
    gates_save(KEYS[3])
  end
  if redis.call('ZSCORE', KEYS[2], account) then
    gate_schedule(KEYS[2], account, gate_load(KEYS[3], KEYS[4], account))
  end
end
return { was, is }
