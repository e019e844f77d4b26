-- Writes the batches that have changed; those of which nothing is left go. A part of turn.lua ("-- uses: turn_save").
-- KEYS, ARGV  turn.lua's
-- Returns  nothing

do
  local sets, n = {}, 0
  local gone, lists
  for _, b in pairs(batches) do
    if b.dirty and b.left > 0 then
      sets[n + 1], sets[n + 2], n = b.n, batch_text(b), n + 2
    elseif b.dirty then
      gone, lists = gone or {}, lists or {}
      gone[#gone + 1], lists[#lists + 1] = b.n, b.list
    end
  end
  if n > 0 then call('HSET', claims_key, unpack(sets)) end
  if gone then
    call('HDEL', claims_key, unpack(gone))
    call('UNLINK', unpack(lists))
  end
end
