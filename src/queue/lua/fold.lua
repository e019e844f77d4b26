-- Folded bundles: their claims have no entries of their own, but one of all; shared by the scripts that say "-- uses: fold"
-- (after kinds or clock). A turn that is calm folds what it claims, and what begins as a whole (calm.lua); whoever needs
-- more than that of a worker's claims unfolds all of them first.
-- KEYS, ARGV, what it returns: those of the script that uses it.
-- inflight:<worker> has "folded" -> per folded bundle, packed (FOLD): its n (bundle.lua), whether it has begun, the number
--   of its first claim, how many claims it had, their nonce. Where it has not begun, all of them are there and have not
--   begun; where it has, those are there that have begun.
-- claims:<worker> has "folded:<n>" -> of one that has begun, packed (BEGUN): the letter of the kind, how many claims it
--   had, the number of the first, their nonce; then for each its length (two bytes) and "<account>:<key>"; and, as that is
--   not written again, "left:<n>" -> how many of them are left (two bytes), and a bit for each, the lowest first, that is
--   set where it is there

local FOLD, FOLD_SIZE = '<BBdI2I4', 16
local BEGUN = '<BI2dI4'

-- The claims that such a pair stands for, as claims:<worker> has others: { token, claim, … }.
local function begun_claims(stored, left)
  local list, kind, count, first, nonce, key_at = {}, struct.unpack(BEGUN, stored)
  for i = 0, count - 1 do
    local key, bits
    key, key_at = struct.unpack('<I2c0', stored, key_at)
    bits = left and string.byte(left, 3 + math.floor(i / 8)) or 255
    if bits % 2 ^ (i % 8 + 1) >= 2 ^ (i % 8) then
      list[#list + 1] = string.format('%d.%db', first + i, nonce)
      list[#list + 1] = string.char(kind) .. key
    end
  end
  return list
end

-- All that have begun: { token, claim, … }.
local function claims_begun(claims_key)
  local list, left, all = {}, {}, redis.call('HGETALL', claims_key)
  for i = 1, #all, 2 do left[all[i]] = all[i + 1] end
  for i = 1, #all, 2 do
    local n, of = string.match(all[i], '^folded:(%d+)$'), { all[i], all[i + 1] }
    if n then of = begun_claims(all[i + 1], left['left:' .. n]) elseif string.sub(all[i], 1, 5) == 'left:' then of = {} end
    for k = 1, #of do list[#list + 1] = of[k] end
  end
  return list
end

-- The claims of folded bundles, as inflight:<worker> has those of others: { token, "<n>:<first number>", … }.
local function folded_claims(folded, claims_key)
  local list = {}
  for at = 1, #folded, FOLD_SIZE do
    local n, begun, first, count, nonce = struct.unpack(FOLD, folded, at)
    local tokens, place = {}, string.format('%d:%d', n, first)
    local stored = begun == 1 and redis.call('HMGET', claims_key, 'folded:' .. n, 'left:' .. n)
    if stored and stored[1] then
      local claims = begun_claims(stored[1], stored[2])
      for i = 1, #claims, 2 do tokens[#tokens + 1] = claims[i] end
    elseif begun == 0 then
      for i = 1, count do tokens[i] = string.format('%d.%db', first + i - 1, nonce) end
    end
    for i = 1, #tokens do
      list[#list + 1] = tokens[i]
      list[#list + 1] = place
    end
  end
  return list
end

-- How many claims a worker holds.
local function claims_held(inflight_key, claims_key)
  local folded, held = redis.call('HGET', inflight_key, 'folded'), redis.call('HLEN', inflight_key)
  if not folded then return held end
  held = held - 1
  for at = 1, #folded, FOLD_SIZE do
    local n, begun, _, count = struct.unpack(FOLD, folded, at)
    local left = begun == 1 and redis.call('HGET', claims_key, 'left:' .. n)
    if left then count = struct.unpack('<I2', left) end
    if begun == 0 or left then held = held + count end
  end
  return held
end

-- Writes fields of a hash, of which there may be many.
local function write_all(key, list)
  if #list >= 16 then redis.call('HSET', key, string.rep('-', 65), '') end -- begin.lua says why
  for i = 1, #list, 2000 do redis.call('HSET', key, unpack(list, i, math.min(i + 1999, #list))) end
  if #list >= 16 then redis.call('HDEL', key, string.rep('-', 65)) end
end

-- Each claim gets entries of its own. The first command is one that is not refused for want of memory, and so what
-- follows is not. Whether any were folded.
local function unfold(inflight_key, claims_key)
  local folded = redis.call('HGET', inflight_key, 'folded')
  if not folded then return false end
  redis.call('HDEL', inflight_key, '')
  write_all(inflight_key, folded_claims(folded, claims_key))
  for at = 1, #folded, FOLD_SIZE do
    local n = string.byte(folded, at)
    local stored = redis.call('HMGET', claims_key, 'folded:' .. n, 'left:' .. n)
    if stored[1] then
      write_all(claims_key, begun_claims(stored[1], stored[2]))
      redis.call('HDEL', claims_key, 'folded:' .. n, 'left:' .. n)
    end
  end
  redis.call('HDEL', inflight_key, 'folded')
  return true
end
