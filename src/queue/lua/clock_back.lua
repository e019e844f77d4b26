-- Redis's clock went back, by a step or because another server answers now: what is due by the old one would stand still for
-- as long as that. All of it is put earlier by as much. A part of beat.lua ("-- uses: clock_back"), which knows `back`, ms:
-- the step, less the time since the last beat of any worker; so nothing becomes due, and no lease ends, before its time.
-- KEYS, ARGV  beat.lua's
-- Returns  nothing; the gates, pauses, leases and delayed jobs are changed

-- uses: gate
local AT_ONCE = 1000 -- members of a call, so that `unpack` has room

-- All scores of a ZSET that are later than now, but for those without end.
local function scores_back(key)
  local list = call('ZRANGEBYSCORE', key, '(' .. ms(now), '(+inf', 'WITHSCORES')
  for from = 1, #list, 2 * AT_ONCE do
    local some = {}
    for i = from, math.min(from + 2 * AT_ONCE - 1, #list), 2 do
      some[#some + 1], some[#some + 2] = ms(math.ceil(list[i + 1] - back)), list[i]
    end
    call('ZADD', key, unpack(some))
  end
end

-- A moment by the old clock; what is past already may be so by the new one.
local function earlier(at)
  at = tonumber(at) or 0
  return at > now and at - back or at
end

-- A gate (gate.lua). A bucket that was filled later than now is one that was filled now at the latest.
local function gate_back(text)
  if #text < HEAD_SIZE or byte(text) ~= 1 then return nil end
  local _, tokens, ts, conc, fails = struct.unpack(HEAD, text)
  local head, tail = struct.pack(HEAD, 1, tokens, math.min(now, earlier(ts)), conc, fails), string.sub(text, HEAD_SIZE + 1)
  if #tail > TAIL_SIZE then
    local mode, till, cool, refused = struct.unpack(TAIL, tail)
    tail = struct.pack(TAIL, mode, earlier(till), cool, refused) .. string.sub(tail, TAIL_SIZE + 1)
  end
  return head .. tail
end

local function pause_back(text)
  local till, rest = string.match(text, '^(%d+)(.*)$')
  return till and tonumber(till) > now and ms(earlier(till)) .. rest
end

local function values_back(key, value_back)
  local list = call('HGETALL', key)
  for i = 1, #list, 2 do
    local new = value_back(list[i + 1])
    if new then call('HSET', key, list[i], new) end
  end
end

scores_back(KEYS[1])
scores_back(KEYS[3])
scores_back(KEYS[4])
values_back(KEYS[7], gate_back)
values_back(KEYS[9], pause_back)
