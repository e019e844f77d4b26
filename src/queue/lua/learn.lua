-- What the end of a request says of its account, shared by the scripts that say "-- uses: learn" (after gate).
-- KEYS, ARGV, what it returns: those of the script that uses it.

local MAX_COOL = 16 -- a cool-down doubles up to so many times the configured one

-- What becomes of an account, by the modes before and after: told to the worker whose settlement did
-- it, which logs it, and counted under the same name.
local TURNS = { nb = 'breaker_opened', pb = 'breaker_opened', hb = 'breaker_opened', bn = 'breaker_closed',
                bp = 'breaker_closed', nh = 'account_held', ph = 'account_held', bh = 'account_held',
                hn = 'account_released', hp = 'account_released', np = 'account_paused' }

-- What the end of a request says of its account.
--   s   the provider answered sensibly       f   it answered, but failed (5xx)
--   t   no answer                            p   paused for `arg` ms         h   credentials refused
--   -   nothing was learned (never sent)
local function gate_learn(g, l, effect, arg, token, jitter)
  local probing = g.probe == token
  if probing then g.probe = '-' end
  if effect == 's' or (effect == 'f' and g.mode == 'h' and probing) then
    if probing or g.mode == 'n' then
      g.mode, g.fails, g.cool, g.till = (g.mode == 'p' and 'p' or 'n'), 0, 0, (g.mode == 'p' and g.till or 0)
    end
    if effect == 's' then return end
  end
  if effect == 'p' then
    if g.mode == 'n' or g.mode == 'p' or probing then
      g.till = (g.mode == 'p') and math.max(g.till, now + arg) or (now + arg)
      g.mode, g.fails, g.cool = 'p', 0, 0
    end
  elseif effect == 'h' then
    if g.mode ~= 'h' then g.cool = l.cooldown
    elseif probing then g.cool = math.min(g.cool * 2, l.cooldown * MAX_COOL) end
    if g.mode ~= 'h' or probing then g.mode, g.till = 'h', now + g.cool * (1 + jitter / 4) end
  elseif effect == 'f' or effect == 't' then
    if probing and g.mode ~= 'n' then
      g.cool = math.min(math.max(g.cool, 1) * 2, l.cooldown * MAX_COOL)
      g.till = now + g.cool * (1 + jitter / 4)
    elseif g.mode == 'n' then
      g.fails = g.fails + 1
      if l.failures > 0 and g.fails >= l.failures then
        g.mode, g.cool, g.till = 'b', l.cooldown, now + l.cooldown * (1 + jitter / 4)
      end
    end
  elseif effect == '-' and probing then
    g.till = now
  end
end
