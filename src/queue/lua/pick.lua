-- Claims the one job that a blocking pick-up just moved to `taken`; the same turn begins it. That is what an idle worker
-- does, so that a lone job costs one round trip less. A part of turn.lua ("-- uses: pick").
-- KEYS  turn.lua's
-- ARGV  of turn.lua: the text, as the pick-up gave it. It is the one job to begin, and the one of its batch
-- Returns  in `claimed`: { "OK", number, how many more jobs there are } (claim.lua); { "NONE" } where it is not there any more, or
--   nothing may be claimed
-- A job that comes from outside (`dray try`) lies in no list and comes into none: it is claimed when it begins, and where it
-- may not begin, nothing is left of it. After a lost reply the worker does not ask again; it looks for claims it does not know.

local closed = not alive or full or stands
if not closed and pauses_n > 0 then
  -- uses: pauses
  closed = paused_till(pauses_key, '')
end
claimed = { 'NONE' }
if not closed and (outside or call('LPOS', taken_key, argv[6])) then
  claimed = { 'OK', ms(seq), ms(jobs_n) }
  seq, taken = seq + 1, taken + 1
  picked = { n = ms(batch_n), list = batch_key, first = seq, count = 1, due = 0, passed = 0, left = 1, letters = { HELD }, begun = '',
    dirty = true }
  batches[place[3 * settle_n + 1]] = picked
  if not outside then call('RPUSH', batch_key, argv[6]) end -- turn.lua takes it from `taken`, last
end
