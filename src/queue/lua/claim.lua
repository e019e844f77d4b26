-- Takes up to claim_n jobs as a batch of this worker. In this order: jobs whose delay is due, jobs whose account's gate has
-- opened, fresh jobs; what blocking pick-ups took goes back to the head of these first. Of what a claim takes a
-- quarter is kept for fresh jobs while there are any, so that accounts that always have jobs waiting
-- do not keep the others out. A part of turn.lua ("-- uses: claim"), which has seen that the lease is alive.
-- KEYS, ARGV  turn.lua's
-- Returns  in `claimed`: { status, number, count, due, passed (claims.lua), left }; the jobs themselves the worker reads from
--   the batch
--   status  OK; LOST: the lease ran out, beat first; PAUSED: by an operator; FULL: results not consumed; REFUSED:
--           Redis is full, or results is no list: what follows says so, and nothing was done
--   number  the one before the first claim's    left  fresh jobs that there are still

-- Where nothing may be claimed: why.
local function claim_closed()
  if claim_n == 0 then return { 'OK' } end
  if pauses_n > 0 then
    -- uses: pauses
    if paused_till(pauses_key, '') then return { 'PAUSED' } end
  end
  if type(unread) == 'table' then
    return { 'REFUSED', 'WRONGTYPE ' .. results_key .. ' holds a ' .. call('TYPE', results_key).ok ..
      ' where dray keeps a list; nothing was done; rename it' }
  end
  return high_water > 0 and call('LLEN', results_key) >= high_water and { 'FULL' } or nil
end

local due, passed, fresh = 0, 0, 0
local head, leave_places -- claim_parked.lua's, where jobs are parked

-- Fresh jobs become the batch without passing through the script. A list's right end is its head. Nobody knows how long they
-- are: where they are too long in all, half of them are, and so on.
local function copy_fresh(want)
  call('SORT', jobs_key, 'BY', 'nosort', 'DESC', 'LIMIT', '0', ms(want), 'STORE', batch_key)
  while want > 1 and call('MEMORY', 'USAGE', batch_key, 'SAMPLES', '0') > room_bytes do
    want = math.floor(want / 2)
    call('LTRIM', batch_key, 0, want - 1)
  end
  return want
end

if stands then -- this very claim was made already, and its answer lost
  claimed = { 'OK', ms(stands.first - 1), ms(stands.count), ms(stands.due), ms(stands.passed), ms(jobs_n) }
else
  claimed = claim_closed()
end
if not claimed or claimed[1] ~= 'REFUSED' then
  while taken_n > 0 and call('LMOVE', taken_key, jobs_key, 'LEFT', 'RIGHT') do jobs_n = jobs_n + 1 end
end
if not claimed then
  if moved then -- jobs came back in this very turn
    jobs_n, delayed_n, waits_n = call('LLEN', jobs_key), call('ZCARD', delayed_key), call('ZCARD', gates_key)
  end
  if delayed_n + waits_n > 0 then
    -- uses: claim_parked
    due, passed = take_parked()
    head, leave_places = put_head, leave
  end
  local want = math.min(jobs_n, claim_n - due - passed)
  if want > 0 and room_bytes > 0 then fresh = copy_fresh(want) end
  if head then head(fresh) end
  local n = due + passed + fresh
  claimed = { 'OK', ms(seq), ms(n), ms(due), ms(passed), ms(jobs_n - fresh) }
  if n > 0 then
    local b = { first = seq + 1, count = n, due = due, passed = passed, left = n }
    call('HSET', claims_key, ms(batch_n), batch_header(b) .. string.rep('-', n))
    if fresh > 0 then call('LTRIM', jobs_key, 0, -1 - fresh) end
    seq, taken = seq + n, taken + fresh
  end
  if leave_places then leave_places() end
end
