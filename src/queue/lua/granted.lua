-- What came of fetching an access token (grant.lua).
-- uses: types clock
-- KEYS  1 grant:<credentials>
-- ARGV  1 worker and account  2 version, another for each token; "" none was got  3 sealed token  4 for how many ms it is good,
--         0 not told; without a token, for how many nobody shall ask the endpoint  5 ms of its life  6 sealed refresh token, "" no
--         newer one  7 for how many ms at least a refresh token is kept, and a token of which nothing is told
-- Returns  "OK"; "LOST" where somebody else has been let fetch, or has fetched, meanwhile: nothing was stored
local wrong = wrong_type({ 'HLEN' })
if wrong then return wrong end
local has = redis.call('HMGET', KEYS[1], 'holder', 'token', 'ends', 'refresh', 'keep')
local holder, ends, good_ms = has[1], tonumber(has[3]), tonumber(ARGV[4])
local other = holder or (has[2] and (not ends or ends > now))
if holder ~= ARGV[1] and other then return 'LOST' end
local keep = now + good_ms
redis.call('HDEL', KEYS[1], 'holder', 'until')
if ARGV[2] == '' and good_ms == 0 and not has[2] then
  redis.call('DEL', KEYS[1])
elseif ARGV[2] == '' then
  if good_ms > 0 then redis.call('HSET', KEYS[1], 'holder', '', 'until', ms(now + good_ms)) end
  keep = math.max(keep, tonumber(has[5]) or 0)
else
  redis.call('HSET', KEYS[1], 'version', ARGV[2], 'token', ARGV[3], 'life', ARGV[5],
    'ends', good_ms > 0 and ms(now + good_ms) or '')
  if ARGV[6] ~= '' then redis.call('HSET', KEYS[1], 'refresh', ARGV[6]) end
  if good_ms == 0 or has[4] or ARGV[6] ~= '' then keep = math.max(keep, now + tonumber(ARGV[7])) end
end
if keep > now and redis.call('EXISTS', KEYS[1]) == 1 then
  redis.call('HSET', KEYS[1], 'keep', ms(keep))
  redis.call('PEXPIRE', KEYS[1], ms(keep - now))
end
return 'OK'
