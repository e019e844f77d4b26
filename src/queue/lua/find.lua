-- Looks through a queue's jobs where they are: for a text that they hold, or for a page of one place. A long search is many
-- calls, so that Redis is never held up for long; what moves on between two of them is found where it goes, as places are looked
-- through in the order in which jobs pass them. Changes nothing.
-- uses: types clock claims record
-- KEYS  1 jobs  2 taken  3 delayed  4 waiting  5 parked  6 dead  7 dead:entries  8 results; then, per worker:
--       claims:<worker>. It reads batch:<worker>:* of these workers too, whose names nobody knows ahead
-- ARGV  1 what the text must hold ("": anything)  2 the places, a letter each: j t i d w x r, as KEYS has them  3 cursor, "" at first
--       4 how many to find at most  5 how many to look at at most  6 bytes to return at most (one always fits); then the workers
-- Returns  { cursor, or "" at the end, how many were looked at, place, name, detail, text, … }; of place
--   j t  as pushed: no name, no detail; x: dead letter's id, when it died (ms), the letter; r: the result
--   i  token, "<claim's letter, or -> <worker>", the record    d  its id, when it is due (ms), the record
--   w  its id, its account, the record

local needle, places, most, budget, room = ARGV[1], ARGV[2], tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local FIXED_ARGS, WORKER_KEYS, CHUNK = 6, 2, 50 -- WORKER_KEYS: worker in ARGV i has its key in KEYS i + WORKER_KEYS
local reply, looked, found = { '', 0 }, 0, 0

-- Takes it if it holds the text. False: the page is full.
local function offer(place, name, detail, text)
  if looked >= budget or found >= most or (found > 0 and room < #text) then return false end
  looked = looked + 1
  if needle == '' or string.find(text, needle, 1, true) then
    found, room = found + 1, room - #text
    for _, part in ipairs({ place, name, detail, text }) do reply[#reply + 1] = part end
  end
  return true
end

-- Each of these offers what stands behind `at` in its place; returns how far it came, and whether that was the end.
local function list_right(place, key)
  return function(at)
    while true do
      local texts = call('LRANGE', key, -at - CHUNK, -at - 1)
      for i = #texts, 1, -1 do
        if not offer(place, '', '', texts[i]) then return at end
        at = at + 1
      end
      if #texts < CHUNK then return at, true end
    end
  end
end

local function ranked(place, key, texts_key, newest_first, name_of, detail_of)
  return function(at)
    while true do
      local pairs_of = call(newest_first and 'ZREVRANGE' or 'ZRANGE', key, at, at + CHUNK - 1, 'WITHSCORES')
      local fields = {}
      for i = 1, #pairs_of, 2 do fields[#fields + 1] = name_of(pairs_of[i]) end
      local texts = #fields > 0 and call('HMGET', texts_key, unpack(fields)) or {}
      for i = 1, #fields do
        if texts[i] and not offer(place, fields[i], detail_of(pairs_of[2 * i - 1], pairs_of[2 * i]), texts[i]) then return at end
        at = at + 1
      end
      if #fields < CHUNK then return at, true end
    end
  end
end

local function itself(member) return member end
local function score(_, when) return string.format('%.0f', tonumber(when)) end
local function position(member) return (string.gsub(string.match(member, ' (%d+)$'), '^0+', '')) end
local function account(member) return string.match(member, '^(.*) %d+$') end

-- The claims of batch n of a worker, from the one behind `at` of `seen` on: how many are seen, how far it came, and whether the
-- page is full.
local function batch_through(seen, at, key, worker, n, b)
  for i = 1, b.count do
    if b.letters[i] ~= ENDED then
      seen = seen + 1
      if seen > at then
        local record = claim_record(b, i, list_of(key, worker, n))
        local token, detail = n .. '.' .. ms(i - 1), string.char(b.letters[i]) .. ' ' .. worker
        if record and not offer('i', token, detail, record) then return seen, at, true end
        at = at + 1
      end
    end
  end
  return seen, at
end

local function in_flight(at)
  local seen, full = 0, false
  for i = FIXED_ARGS + 1, #ARGV do
    for _, batch in ipairs(batches_of(KEYS[i + WORKER_KEYS])) do
      seen, at, full = batch_through(seen, at, KEYS[i + WORKER_KEYS], ARGV[i], batch[1], batch_of(batch[2]))
      if full then return at end
    end
  end
  return at, true
end

local look_through = {
  j = list_right('j', KEYS[1]), t = list_right('t', KEYS[2]), r = list_right('r', KEYS[8]), i = in_flight,
  d = ranked('d', KEYS[3], KEYS[5], false, itself, score), w = ranked('w', KEYS[4], KEYS[5], false, position, account),
  x = ranked('x', KEYS[6], KEYS[7], true, itself, score),
}

local place, at = string.match(ARGV[3], '^(%d+) (%d+)$')
place, at = tonumber(place or 1), tonumber(at or 0)
while place <= #places do
  local ended
  at, ended = look_through[string.sub(places, place, place)](at)
  if not ended then
    reply[1] = ms(place) .. ' ' .. ms(at)
    break
  end
  place, at = place + 1, 0
end
reply[2] = looked
return reply
