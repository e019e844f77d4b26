-- The access token that the fleet shares (OAuth2): who asks gets it, or the right to fetch one, or hears that another fetches.
-- uses: types clock
-- KEYS  1 grant:<credentials>
-- ARGV  1 worker and account  2 for how many ms they may fetch  3 version of the token they would replace; "" they have none;
--         "*" whatever there is
-- Returns  { "T", version, sealed token, ms it is good, ms of its life }  there is one, and not theirs; "" and 0: not told
--          { "F", sealed refresh token or "" }                            they fetch
--          { "W", ms }                                                    another does, until then at most
--          { "P", ms }                                                    it failed: nobody asks the endpoint until then
local wrong = wrong_type({ 'HLEN' })
if wrong then return wrong end
local has = redis.call('HMGET', KEYS[1], 'version', 'token', 'ends', 'life', 'refresh', 'holder', 'until', 'keep')
local version, token, ends, holder = has[1], has[2], tonumber(has[3]), has[6]
if token and (not ends or ends > now) and ARGV[3] ~= '*' and version ~= ARGV[3] then
  return { 'T', version, token, ends and ms(ends - now) or '', has[4] or '0' }
end
local till = tonumber(has[7]) or 0
if till > now and holder ~= ARGV[1] then
  return { holder == '' and 'P' or 'W', ms(till - now + 1) }
end
till = now + tonumber(ARGV[2])
local keep = math.max(till, tonumber(has[8]) or 0)
redis.call('HSET', KEYS[1], 'holder', ARGV[1], 'until', ms(till), 'keep', ms(keep))
redis.call('PEXPIRE', KEYS[1], ms(keep - now))
return { 'F', has[5] or '' }
