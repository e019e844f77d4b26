-- A job that may not begin now waits for its account. A part of begin.lua ("-- uses: begin_wait").
-- KEYS, ARGV  turn.lua's
-- Returns  nothing: `moved` says that there was one

-- uses: record
local function wait(g, account, token)
  local record = record_of(token, call('HGET', inflight_key, token))
  park_waiting(parked_key, waiting_key, gates_key, account, string.match(token, '^%d+'), record)
  call('HDEL', inflight_key, token)
  counts.waits, moved = (counts.waits or 0) + 1, true
  if manual[account] then
    call('ZADD', gates_key, 'XX', manual[account], account)
    spaced[account] = true
  end
  if g.probe == token then g.probe, g.till, g.dirty = '-', now, true end
end
