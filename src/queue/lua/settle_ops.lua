-- The ops of a turn's settlements. A part of settle.lua ("-- uses: settle_ops").
-- KEYS, ARGV  turn.lua's
-- Returns  ops: each with its verb, effect, counter, argument, and the list that its results go to; pushes: key -> that list

local ops, pushes = {}, {}
for i = 1, ops_n do
  local op, further = { ended = 0 }, nil
  op.verb, op.effect, op.counter, further, op.arg = string.match(argv[OPS + i], '^(.)(.)([^:]*):?(%d*):?(.*)$')
  local key, length = results_key, unread
  if further ~= '' then
    local theirs = keys[LIST_KEYS + further]
    local theirs_length = try('LLEN', theirs)
    if type(theirs_length) == 'number' then key, length = theirs, theirs_length end
  end
  if type(length) == 'number' then -- else there is none to push to
    pushes[key] = pushes[key] or { n = 0 }
    op.list = pushes[key]
  end
  ops[i] = op
end
