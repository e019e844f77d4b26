-- The ledger, one entry per account and order key: "S hash worker token" sending, "L hash ms" being looked up,
-- "C hash ms ids" created, "U hash ms dead_id" unknown for good. Parts of begin.lua and settle.lua ("-- uses: ledger").
-- KEYS, ARGV  turn.lua's
-- Returns  nothing

-- What the entry that stands says against sending, or nil. kind: a byte, P or L.
local function ledger_refuses(kind, entry, mine)
  if entry == mine then return nil end -- its own is of a turn that failed half-way: nothing was sent
  if sub(entry, 3, 34) ~= sub(mine, 3, 34) then return 'K' end
  local state = sub(entry, 1, 1)
  if state == 'C' then return 'D' end
  if state == 'U' or (state == 'L' and kind == 76) then return state == 'U' and 'U' or nil end
  return 'B'
end

-- "C" in the ledger is the truth whoever wrote it: nothing but another "C" takes its place.
local function is_created(key)
  local entry = try('GET', key)
  return type(entry) == 'string' and byte(entry) == 67
end

-- Any other entry than C, which settle.lua's ledger_created writes.
local function ledger_write(key, value)
  if is_created(key) then
    count('ledger_kept', 1)
  elseif value == 'D' then
    call('DEL', key)
  else
    call('SET', key, value)
  end
end

-- A worker that lost its claim still knows what the provider said.
local function learn_of_lost(key, g, ledger)
  if not again then count('fenced', 1) end
  if byte(ledger) == 67 and not is_created(key) then
    ledger_created(key, g, ledger)
    count('fenced_learned', 1)
  end
  return 'L'
end
