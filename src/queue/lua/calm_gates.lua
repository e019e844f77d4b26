-- Gates in a calm turn. A part of calm.lua ("-- uses: calm_gates"), which has set: states, the gates that are stored of the
-- runs behind `from` up to `to`; by their numbers, rates, bursts and concs of the limits, and which ops are counted.
-- KEYS, ARGV  turn.lua's
-- Returns  calm, false where a gate is not as it mostly is, or not open; gates, to be written, and fields_n, how many they are;
--   counts and free; run

-- Requests that ended free their places, requests that begin take them, as long as all of them can.
local run = { byte(runs, 1, -1) } -- three numbers each
local gates, fields_n = {}, 0 -- what is to be written: account, gate, account and so on
local once, gate_at = bits >= 512, {} -- no account is of two runs; else where an account's gate is in `gates`
local counts, free = false, to == settle_runs -- of those that begin, some are counted; some are not
local ENDS, under_way, tails = '<I4I4', {}, {} -- how a gate ends, requests under way and failures: each kind is packed once
-- Gates of a turn are often the same, as most buckets are full. What becomes of the first few of a kind is worked out once.
local seen, seen_n, SEEN, seen_of, kind, full = {}, 0, 8, {}, nil, {}
local at_run = 3 * from -- before its three numbers
for r = from + 1, to do
  local account, stored, at, gate = argv[ACCOUNTS + r], states[r - from], nil, nil
  local length, which, what = run[at_run + 1], run[at_run + 2], run[at_run + 3]
  at_run = at_run + 3
  if not once then
    at = gate_at[account]
    stored = at and gates[at] or stored
  end
  if r <= settle_runs and counted[what] then
    gate = length == 1 and stored and seen[stored]
    if not gate then
      local before = stored or pack_gate('<bddI4I4', 1, bursts[which], now, 0, 0)
      if #before ~= 25 then calm = false break end
      local head, tail = unpack_gate('c17c8', before)
      local left, fails = under_way[tail], nil
      if not left then
        left, fails = unpack_gate(ENDS, tail)
        if fails > 0 then calm = false break end -- as any text would seem to have
        under_way[tail] = left
      end
      left = left > length and left - length or 0
      tail = tails[left]
      if not tail then
        tail = pack_gate(ENDS, left, 0)
        tails[left] = tail
      end
      gate = head .. tail
      if length == 1 and stored and seen_n < SEEN then
        seen[stored], seen_n = gate, seen_n + 1
      end
    end
  elseif r <= settle_runs then
    if stored then
      if #stored ~= 25 or byte(stored) ~= 1 then calm = false break end
      local a, b, c, d = byte(stored, 22, 25) -- failures
      if a + b + c + d > 0 then calm = false break end
    end
  else
    local rate, limit = rates[which], concs[which]
    if limit > 0 then counts = true else free = true end
    if kind ~= length * 256 + which then
      kind, seen_n = length * 256 + which, 0
      seen = seen_of[kind] or {}
      seen_of[kind] = seen
    end
    gate = stored and seen[stored]
    if not gate and (rate > 0 or limit > 0 or stored) then
      local burst, n = bursts[which], 0
      local left = burst
      if stored then
        if #stored ~= 25 then calm = false break end
        local tokens, ts, tail = unpack_gate('<ddc8', stored, 2)
        n = under_way[tail]
        if not n then
          local fails
          n, fails = unpack_gate(ENDS, tail)
          if fails > 0 then calm = false break end -- as any text would seem to have
          under_way[tail] = n
        end
        if rate > 0 and now > ts then tokens = tokens + (now - ts) * rate / 1000 end
        if rate > 0 and tokens < burst then left = tokens end
      end
      if limit > 0 then n = n + length end
      if (rate > 0 and left < length) or (limit > 0 and n > limit) then calm = false break end
      if rate > 0 or limit > 0 then
        local same = left == burst and (n * 256 + length) * 256 + which
        gate = same and full[same]
        if not gate then
          gate = pack_gate('<bddI4I4', 1, rate > 0 and left - length or burst, now, n, 0)
          if same then full[same] = gate end
        end
        if stored and seen_n < SEEN then
          seen[stored], seen_n = gate, seen_n + 1
        end
      end
    end
  end
  if gate then
    if not at then
      gates[fields_n + 1], fields_n = account, fields_n + 2
      at = fields_n
      if not once then gate_at[account] = at end
    end
    gates[at] = gate
  end
end
