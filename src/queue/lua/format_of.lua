-- The format of a queue's data, shared by the scripts that say "-- uses: format_of" (after types and clock).
-- KEYS, ARGV, what it returns: those of the script that uses it.
-- format  STRING: the number, decimal. Where dray's own data stand without it, they are of format 1.

-- The registered workers that work with another format than ours: { worker, its format, ms that are left of its lease (0: it
-- ran out), … }. A worker's info names its format; where it names none, it is 1. One without any info counts as `unsaid`.
-- self: who asks, and is none
local function strangers(workers_key, info_key, self, ours, unsaid)
  local list, ends = {}, call('ZRANGE', workers_key, 0, -1, 'WITHSCORES')
  for i = 1, #ends, 2 do
    local info = call('HGET', info_key, ends[i])
    local its = info and (string.match(info, '"format"%s*:%s*(%d+)') or '1') or unsaid
    if its ~= ours and ends[i] ~= self then
      list[#list + 1] = ends[i]
      list[#list + 1] = its
      list[#list + 1] = ms(math.max(0, tonumber(ends[i + 1]) - now))
    end
  end
  return list
end

-- Whether ours may work on the queue: nil, or the reply that refuses: { "FORMAT", the number that stands, strangers }. A fresh
-- queue gets our number. So does one of an older format, down to `oldest`, once none of its workers is there: second value.
-- own: keys of dray's own, of which a queue in use has one   new: we come only now, and go nowhere where others are
-- write: false only looks
local function format_refusal(format_key, own, workers_key, info_key, self, ours, oldest, new, write)
  local stands = try('GET', format_key)
  if type(stands) == 'table' then
    return redis.error_reply('WRONGTYPE ' .. format_key .. ' holds no number of a format; nothing was done; rename it')
  end
  if stands == ours and not new then return nil end
  local fresh = not stands and call('EXISTS', unpack(own)) == 0
  stands = stands or fresh and ours or '1'
  local others = strangers(workers_key, info_key, self, ours, stands)
  local number = tonumber(stands) or 0
  local older = number >= tonumber(oldest) and number < tonumber(ours)
  if #others > 0 or not (stands == ours or older and write) then return { 'FORMAT', stands, others } end
  if write and (fresh or older) then call('SET', format_key, ours) end
  return nil, older and stands
end
