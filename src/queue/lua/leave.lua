-- A worker that ends and holds nothing leaves, so that nobody has to recover it.
-- uses: types
-- KEYS  1 workers  2 workers:info  3 claims:<worker>  4 taken  5 jobs
-- ARGV  1 worker
-- Returns  OK, or HOLDS where jobs are left in flight (the lease will run out)
local wrong = wrong_type({ 'ZCARD', 'HLEN', 'HLEN', 'LLEN', 'LLEN' })
if wrong then return wrong end
repeat until not call('LMOVE', KEYS[4], KEYS[5], 'LEFT', 'RIGHT')
if size[3] > 0 then return 'HOLDS' end
call('ZREM', KEYS[1], ARGV[1])
call('HDEL', KEYS[2], ARGV[1])
return 'OK'
