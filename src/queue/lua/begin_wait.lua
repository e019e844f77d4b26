-- A job that may not begin now waits for its account. A part of begin.lua ("-- uses: begin_wait").
-- KEYS, ARGV  turn.lua's
-- Returns  nothing: `moved` says that there was one

-- uses: record
local function wait(g, account, b, i)
  local number = ms(b.first + i - 1)
  park_waiting(parked_key, waiting_key, gates_key, account, number, claim_record(b, i, b.list) or FRESH)
  claim_ends(b, i)
  count('waits', 1)
  moved = true
  if manual[account] then
    call('ZADD', gates_key, 'XX', manual[account], account)
    spaced[account] = true
  end
  if g.probe == number then g.probe, g.till, g.dirty = '-', now, true end
end
