-- What a worker holds. Changes nothing.
-- KEYS  1 inflight:<worker>  2 claims:<worker>
-- ARGV  none
-- Returns  { token, claim, … }: of each job in flight, what claims:<worker> has of it, "" if it never began; and claims
--   without a job
local reply, begun = redis.call('HGETALL', KEYS[2]), {}
for i = 1, #reply, 2 do begun[reply[i]] = true end
for _, token in ipairs(redis.call('HKEYS', KEYS[1])) do
  if not begun[token] then
    reply[#reply + 1] = token
    reply[#reply + 1] = ''
  end
end
return reply
