-- Accounts whose jobs wait whatever their gates say. A part of begin.lua ("-- uses: begin_busy").
-- KEYS, ARGV  turn.lua's
-- Returns  why the jobs of some accounts wait: q, others of them wait already; m, an operator paused it; and when to
--   look again at one that an operator paused

-- uses: pauses
-- names[from … to]: the accounts.
local function find_busy(names, from, to)
  local why, at = {}, {}
  local queued = call('ZMSCORE', gates_key, unpack(names, from, to))
  local paused = call('HMGET', pauses_key, unpack(names, from, to))
  for i = from, to do
    local till = pause_end(paused[i - from + 1])
    if queued[i - from + 1] then why[names[i]] = 'q' end
    if till then why[names[i]], at[names[i]] = 'm', paused_look(till) end
  end
  return why, at
end
