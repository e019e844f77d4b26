-- A worker that ends and holds nothing leaves, so that nobody has to recover it.
-- uses: kinds
-- KEYS  1 workers  2 workers:info  3 inflight:<worker>  4 taken  5 jobs  6 stats
-- ARGV  1 worker
-- Returns  OK, or HOLDS where jobs are left in flight (the lease will run out)
local wrong = wrong_kind({ 'ZCARD', 'HLEN', 'HLEN', 'LLEN', 'LLEN', 'HLEN' })
if wrong then return wrong end
repeat until not redis.call('LMOVE', KEYS[4], KEYS[5], 'LEFT', 'RIGHT')
if size[3] > 0 then return 'HOLDS' end
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('HDEL', KEYS[2], ARGV[1])
redis.call('HDEL', KEYS[6], 'turn:' .. ARGV[1])
return 'OK'
