-- Account gates as they are stored, shared by the scripts that say "-- uses: gate" (after clock). An account's
-- gate decides whether one more request may leave, whatever worker sends it: rate, concurrency, pause, hold,
-- breaker. Who may leave: passage.lua; what an answer teaches: learn.lua.
--
-- KEYS, ARGV, what it returns: those of the script that uses it.
--
-- accounts  HASH  account -> "tokens ts conc fails mode until cool probe refused code"; of a gate that nothing holds up
--                 (mode n, no cool-down, no probe, nothing refused), as most are, a byte 1 and the first four packed (QUIET),
--                 which costs a fraction of reading and writing text. Nothing is stored of an account that
--                 never had anything to store: one without limits whose requests never failed.
--   tokens  what is in the token bucket, as of ts (ms, Redis's clock)
--   conc    requests under way that were begun while the account had a limit of them; equal to its counted
--           entries in all claims:<worker> hashes
--   fails   consecutive failures while mode is n
--   mode    n normal, p paused (Retry-After), h held (401/403), b breaker open
--   until   ms; p: the pause's end; h and b: when the next probe may go, or the running probe's deadline
--   cool    ms; h and b: the present cool-down; n and p: the last pause of a 429 that named no time, 0 once an answer
--           was sensible
--   probe   token of the claim that probes, or "-"
--   refused orders in a row that the provider refused with one code; mode h: 0 where the account itself is refused
--   code    that code, or the one with which the account itself is refused; or "-"
-- limits    HASH  account -> "rate burst conc failures cooldown probe_ms reject_limit ledger_ttl" (configuration)
-- gates     ZSET  account -> ms when its waiting jobs should be looked at again; +inf: when one settles
-- pauses    HASH  account ("" is the queue) -> "until reason" (an operator's pause; until 0: no end)
--
-- A gate in a script is a table of these fields, with `limits`. A quiet one has no mode, until, cool, probe, refused and code; it
-- may be shared by accounts of the same limits, and nothing but tokens and conc of one that has such limits
-- may be changed in it. gate_own (gate_own.lua) gives one that is the account's own and has all fields. `dirty`: to
-- be written.

local QUIET = '<bddI4I4' -- 1, tokens, ts, conc, fails
local LIMITS = '<bddddddd' -- 1, then as in the text

local gates_seen = {}
local gates_dirty = false
local spaced = {} -- accounts whose next look is set already
local limits_by = {} -- text -> limits: many accounts have the same
