-- Claims the one job that a blocking pick-up just moved to `taken`; the same turn begins it. That is what an idle worker
-- does, so that a lone job costs one round trip less. A part of turn.lua ("-- uses: pick").
-- KEYS  turn.lua's
-- ARGV  of turn.lua: the text, as the pick-up gave it. It is the one job to begin: the worker does not know its token, which
--       is empty there, and is missing at the end of its ledger entry
-- Returns  in `claimed`: { "OK", number, nonce, "f", how many more jobs there are }, as of a claim (claim.lua), without the
--   record; { "NONE" } where it is not there any more, or nothing may be claimed
-- A job that comes from outside (`dray try`) lies in no list and comes into none: it is claimed when it begins, and where it
-- may not begin, nothing is left of it. After a lost reply the worker does not ask again; it looks for claims it does not know.

local closed = not alive or full
if not closed and size[11] > 0 then
  -- uses: pauses
  closed = paused_till(pauses_key, '')
end
claimed = { 'NONE' }
if not closed and (outside or call('LPOS', taken_key, argv[6])) then
  claimed = { 'OK', ms(seq), time[2], 'f', ms(size[1]) }
  seq, taken = seq + 1, taken + 1
  picked = ms(seq) .. '.' .. time[2] .. 'f'
  if not outside then
    call('HSET', inflight_key, picked, argv[6])
    call('LREM', taken_key, -1, argv[6])
  end
end
