-- The claims of all workers, looked at for the books. A part of audit.lua ("-- uses: audit_claims").
-- KEYS, ARGV  audit.lua's
-- Returns  how many jobs are in flight, how many have begun, and how many requests of each account are under way that count: a
--   batch has its list and knows of each of its claims

local inflight, begun, begun_by, seen = 0, 0, {}, {}

local function look_at_claim(worker, token, number, letter)
  if letter == ENDED then return 0 end
  if call('HEXISTS', KEYS[5], number) == 1 then breach('job %s is in flight at %s and parked', number, worker) end
  if letter ~= HELD then begun = begun + 1 end
  return 1
end

local function look_at_batch(key, worker, n, b)
  local length, left, known_begun = try('LLEN', list_of(key, worker, n)), 0, {}
  if length ~= b.count then
    breach('batch %s of %s has %d claims and %s', n, worker, b.count, type(length) == 'number' and ms(length) .. ' jobs' or 'no list')
  end
  each_begun(b, function(i, account_key)
    local account = string.match(account_key, '^[^:]+')
    known_begun[i] = true
    if is_counted(b.letters[i]) then begun_by[account] = (begun_by[account] or 0) + 1 end
  end)
  for i = 1, b.count do
    local number, letter, token = ms(b.first + i - 1), b.letters[i], n .. '.' .. ms(i - 1)
    if seen[number] then breach('claim %s is held by %s and by %s', number, seen[number], worker) end
    seen[number] = worker
    if letter ~= ENDED and letter ~= HELD and not known_begun[i] then
      breach('claim %s of %s has begun, and its order is not known', token, worker)
    end
    left = left + look_at_claim(worker, token, number, letter)
  end
  if left ~= b.left then breach('batch %s of %s says that %d claims are left, there are %d', n, worker, b.left, left) end
  return left
end

for i = 2, #ARGV do
  local worker, key, holds = ARGV[i], KEYS[11 + i], 0
  for _, batch in ipairs(batches_of(key)) do holds = holds + look_at_batch(key, worker, batch[1], batch_of(batch[2])) end
  if not living[worker] and holds > 0 then
    breach('claims:%s holds %d jobs, but nobody recovers it: it is not among the workers', worker, holds)
  end
  inflight = inflight + holds
end
