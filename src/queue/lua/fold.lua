-- Folded bundles: inflight:<worker> has not an entry of each of their claims, but one of all; shared by the scripts that
-- say "-- uses: fold" (after kinds or clock). A turn that is calm folds what it claims (calm.lua); whoever needs more than
-- that of a worker's claims unfolds all of them first.
-- KEYS, ARGV, what it returns: those of the script that uses it.
-- inflight:<worker> has "folded" -> per folded bundle, packed (FOLD): its n (bundle.lua), whether it has begun, the number
--   of its first claim, how many claims it had, their nonce. Where it has not begun, all of them are there and have not
--   begun; where it has, those are there that are in claims:<worker>.

local FOLD = '<BBdI2I4' -- FOLD_SIZE bytes
local FOLD_SIZE = 16

-- The claims of folded bundles, as inflight:<worker> has those of others: { token, "<n>:<first number>", … }.
local function folded_claims(folded, claims_key)
  local list = {}
  for at = 1, #folded, FOLD_SIZE do
    local n, begun, first, count, nonce = struct.unpack(FOLD, folded, at)
    local tokens, place = {}, string.format('%d:%d', n, first)
    for i = 1, count do tokens[i] = string.format('%d.%db', first + i - 1, nonce) end
    local claims = begun == 1 and redis.call('HMGET', claims_key, unpack(tokens))
    for i = 1, count do
      if not claims or claims[i] then
        list[#list + 1] = tokens[i]
        list[#list + 1] = place
      end
    end
  end
  return list
end

-- How many claims a worker holds.
local function claims_held(inflight_key, claims_key)
  local folded = redis.call('HGET', inflight_key, 'folded')
  local others = redis.call('HLEN', inflight_key)
  return folded and others - 1 + #folded_claims(folded, claims_key) / 2 or others
end

-- Each claim gets an entry of its own. The first command is one that is not refused for want of memory, and so
-- what follows is not.
local function unfold(inflight_key, claims_key)
  local folded = redis.call('HGET', inflight_key, 'folded')
  if not folded then return end
  redis.call('HDEL', inflight_key, '')
  local list = folded_claims(folded, claims_key)
  if #list >= 16 then redis.call('HSET', inflight_key, string.rep('-', 65), '') end -- begin.lua says why
  for i = 1, #list, 2000 do redis.call('HSET', inflight_key, unpack(list, i, math.min(i + 1999, #list))) end
  redis.call('HDEL', inflight_key, 'folded', string.rep('-', 65))
end
