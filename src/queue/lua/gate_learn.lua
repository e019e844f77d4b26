-- What the end of a request says of its account, shared by the scripts that say "-- uses: gate_learn" (after gate).
-- KEYS, ARGV, what it returns: those of the script that uses it.

local MAX_COOL = 16      -- a cool-down doubles up to so many times the configured one
local FIRST_PAUSE = 1000 -- ms, after a 429 that names no time

-- What becomes of an account, by the modes before and after: told to the worker whose settlement did
-- it, which logs it, and counted under the same name.
local TURNS = { nb = 'breaker_opened', pb = 'breaker_opened', hb = 'breaker_opened', bn = 'breaker_closed',
                bp = 'breaker_closed', nh = 'account_held', ph = 'account_held', bh = 'account_held',
                hn = 'account_released', hp = 'account_released', np = 'account_paused' }

-- Held for a run of refusals (reject_limit), not for the account's own.
local function held_for_refusals(g)
  return g.mode == 'h' and g.refused > 0
end

-- The next probe may go after the present cool-down.
local function cool_down(g, jitter)
  g.till = now + g.cool * (1 + jitter / 4)
end

local function cool_longer(g, l, jitter)
  g.cool = math.min(math.max(g.cool, 1) * 2, l.cooldown * MAX_COOL)
  cool_down(g, jitter)
end

local function hold(g, l, probing, jitter)
  if g.mode ~= 'h' then
    g.mode, g.cool = 'h', l.cooldown
    cool_down(g, jitter)
  elseif probing then
    cool_longer(g, l, jitter)
  end
end

-- A probe of an account that is held for refusals, or a request from before that. Only an order that was created says
-- that it goes on; another refusal may be that order's own.
local function learn_while_refused(g, l, effect, code, probing, jitter)
  local same = effect == 'r' and code == g.code
  if same then g.refused = g.refused + 1 end
  if probing and same then
    cool_longer(g, l, jitter)
  elseif probing then
    cool_down(g, jitter)
  end
end

local function learn_sensible(g, l, effect, code, probing, jitter)
  if not probing and g.mode ~= 'n' then return end
  if g.mode ~= 'p' then g.mode, g.till = 'n', 0 end
  g.fails, g.cool = 0, 0
  if effect == 's' then
    g.refused, g.code = 0, '-'
  elseif effect == 'r' and l.rejects > 0 then
    g.refused, g.code = g.code == code and g.refused + 1 or 1, code
    if g.refused >= l.rejects then hold(g, l, false, jitter) end
  end
end

local function learn_pause(g, l, told, probing)
  if held_for_refusals(g) then
    if probing then g.till = now + (told or g.cool) end
    return
  end
  if g.mode ~= 'n' and g.mode ~= 'p' then
    if not probing then return end
    g.mode, g.cool, g.till = 'n', 0, 0
  end
  if not told and g.mode == 'n' then -- in mode p: it was sent before the pause
    g.cool = g.cool > 0 and math.min(g.cool * 2, math.max(l.cooldown, FIRST_PAUSE)) or FIRST_PAUSE
  end
  g.till = math.max(g.till, now + (told or (g.mode == 'n' and g.cool or 0)))
  g.mode, g.fails = 'p', 0
end

-- What the end of a request says of its account.
--   s   an order exists                      l   it answered sensibly, and nothing was created
--   r   the order was refused, code `arg`    f   it answered, but failed (5xx)
--   t   no answer                            p   paused for `arg` ms; none: the answer named no time
--   h   the account is refused, code `arg`   -   nothing was learned (never sent)
-- Returns true where an order of an account that was refused went through: a probe, or, where the refusal may be a
-- firewall's, which are of single orders, one that was created.
local function gate_learn(g, l, effect, arg, number, jitter)
  local probing, refusing = g.probe ~= '-' and g.probe == ms(number), held_for_refusals(g)
  if probing then g.probe = '-' end
  if effect == 'r' or effect == 'l' or effect == 's' then
    local passed = g.mode == 'h' and not refusing and (probing or (effect == 's' and g.code == 'http_403'))
    if refusing and (effect ~= 's' or not probing) then
      learn_while_refused(g, l, effect, arg, probing, jitter)
    else
      learn_sensible(g, l, effect, arg, probing, jitter)
    end
    return passed
  end
  if effect == 'f' and probing and g.mode == 'h' and not refusing then -- whoever fails believed the credentials
    g.mode, g.fails, g.cool, g.till = 'n', 0, 0, 0
  end
  if effect == 'p' then
    learn_pause(g, l, tonumber(arg), probing)
  elseif effect == 'h' then
    if g.mode ~= 'h' or probing then
      hold(g, l, probing, jitter)
      g.refused, g.code = 0, arg ~= '' and arg or '-'
    end
  elseif effect == 'f' or effect == 't' then
    if probing and g.mode ~= 'n' then
      cool_longer(g, l, jitter)
    elseif g.mode == 'n' then
      g.fails = g.fails + 1
      if l.failures > 0 and g.fails >= l.failures then
        g.mode, g.cool = 'b', l.cooldown
        cool_down(g, jitter)
      end
    end
  elseif effect == '-' and probing then
    g.till = now
  end
end
