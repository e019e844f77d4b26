-- What keeps a job from beginning. A part of begin.lua ("-- uses: begin_refusal").
-- KEYS, ARGV  turn.lua's
-- Returns  nothing

-- uses: gate_pass ledger
-- A letter, and for some its text, as begin.lua returns them; nil: it may begin, and has taken its token.
local function refusal(at, kind, account, g, b, i)
  local entry = sending[keys[BEGIN_KEYS + at]] or stand[at]
  local refused = entry and ledger_refuses(kind, entry, argv[BEGIN_AT + at])
  if refused then return refused, (refused == 'D' or refused == 'U') and entry or nil end
  local number, why = b.first + i - 1, busy[account]
  if i > b.due and i <= b.due + b.passed then -- it passed, and its token was taken, when it was claimed
    why = why == 'm' and 'm' or gate_closed_behind(g, number)
  else
    why = why or gate_closed(g)
    if not why then gate_take_token(g, number) end
  end
  if why and not outside then
    if not park then
      -- uses: begin_wait
      park = wait
    end
    park(g, account, b, i)
  end
  if why then return 'W', why end
end
