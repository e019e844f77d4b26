-- The claims of a worker, shared by the scripts that say "-- uses: claims" (after types and clock).
-- KEYS, ARGV, what it returns: those of the script that uses it.
--
-- Jobs that a worker claims in one turn are a batch. The worker counts its batches, from 1 on; a claim is named by its batch's
-- number and its place there, from 0 on: "7.0", its token.
-- batch:<worker>:<n>  LIST  what was claimed, the next to be begun first: `due` records of jobs whose delay was over, `passed`
--                           records of jobs whose account's gate has let them through, then the texts of fresh jobs. Stays as
--                           it is until the last claim has ended
-- claims:<worker>     HASH  n -> first, count, due, passed, left (BATCH), packed; a letter per claim; then, of each claim that has
--                           begun, its place and the length of what follows (BEGUN), and "account:key", as in the ledger's key
--   first   the claims have the numbers from first on: ids of jobs, in the order of time (docs/protocol.md)
--   left    claims that have not ended
--   letter  - never begun   p its order is being sent   l it is being looked up   P, L the same, and it counts as one of its
--           account's requests under way   . ended
-- Whoever wants to settle or begin a claim finds here whether it is still there, and what became of it. So a call that runs
-- twice or late, one of a worker that was recovered, and one that Redis has forgotten are answered by what is.

local BATCH, BATCH_SIZE = '<dHHHH', 16
local BEGUN, BEGUN_SIZE, BEGUN_KEY = '<HH', 4, 'HHc0'
local HELD, ENDED = 45, 46 -- letters

-- A batch as a table, of what is stored: its fields, `letters` (bytes, from 1 on), `begun` (text).
local function batch_of(text)
  local b = {}
  b.first, b.count, b.due, b.passed, b.left = struct.unpack(BATCH, text)
  b.letters, b.begun = { byte(text, BATCH_SIZE + 1, BATCH_SIZE + b.count) }, string.sub(text, BATCH_SIZE + b.count + 1)
  return b
end

local function batch_header(b)
  return struct.pack(BATCH, b.first, b.count, b.due, b.passed, b.left)
end

local function batch_text(b)
  return batch_header(b) .. string.char(unpack(b.letters)) .. b.begun
end

-- Requests of the claim count as one of its account's.
local function is_counted(letter)
  return letter == 80 or letter == 76 -- P, L
end

-- Claim i of the batch (from 1 on) ends.
local function claim_ends(b, i)
  b.letters[i], b.left, b.dirty = ENDED, b.left - 1, true
end

-- Calls fn(i, "account:key") for each claim that has begun, ended ones too.
local function each_begun(b, fn)
  local at = 1
  while at < #b.begun do
    local place, length = struct.unpack(BEGUN, b.begun, at)
    fn(place + 1, string.sub(b.begun, at + BEGUN_SIZE, at + BEGUN_SIZE + length - 1))
    at = at + BEGUN_SIZE + length
  end
end

-- The batches of a worker, the oldest first: { its number as text, what is stored of it } each.
local function batches_of(key)
  local list, all = {}, call('HGETALL', key)
  for i = 1, #all, 2 do
    -- Workers of older formats had other names here.
    if string.find(all[i], '^%d+$') then list[#list + 1] = { all[i], all[i + 1] } end
  end
  table.sort(list, function(a, b) return tonumber(a[1]) < tonumber(b[1]) end)
  return list
end

-- Claims of a worker that have not ended.
local function claims_left(key)
  local n = 0
  for _, batch in ipairs(batches_of(key)) do n = n + select(5, struct.unpack(BATCH, batch[2])) end
  return n
end

-- The name of a batch's list, for who only reads and cannot know it ahead.
local function list_of(key, worker, n)
  return string.sub(key, 1, -#worker - #'claims:' - 1) .. 'batch:' .. worker .. ':' .. n
end
