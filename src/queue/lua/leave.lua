-- A worker that ends and holds nothing leaves, so that nobody has to recover it.
-- uses: kinds bundle fold
-- KEYS  1 workers  2 workers:info  3 inflight:<worker>  4 taken  5 jobs  6 stats  7 claims:<worker>; then its 255 bundles (bundle.lua)
-- ARGV  1 worker
-- Returns  OK, or HOLDS where jobs are left in flight (the lease will run out)
local wrong = wrong_kind({ 'ZCARD', 'HLEN', 'HLEN', 'LLEN', 'LLEN', 'HLEN', 'HLEN' })
if wrong then return wrong end
repeat until not redis.call('LMOVE', KEYS[4], KEYS[5], 'LEFT', 'RIGHT')
if claims_held(KEYS[3], KEYS[7]) > 0 then return 'HOLDS' end
redis.call('DEL', KEYS[3]) -- folded bundles, of which all claims have ended
bundles_drop(KEYS[5], ARGV[1])
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('HDEL', KEYS[2], ARGV[1])
redis.call('HDEL', KEYS[6], 'turn:' .. ARGV[1])
return 'OK'
