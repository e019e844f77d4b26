/* The guards of the protocol, each taken out: the simulation must fail without it. `from` must
 * stand exactly once in the shipped script (comments and indentation taken out). */
#include "sim.h"

#include <string.h>

const struct mutation mutations[] = {
    {"claim-lease", "turn", "if claims then\nif not alive then\n", "if claims then\nif not now then\n",
     "nothing is claimed without a lease"},
    {"begin-token", "turn", "if not claim then return 'L' end\n", "claim = claim or 'n'\n",
     "a job whose claim was lost may not begin"},
    {"begin-ledger", "turn",
     "if refused then return refused, (refused == 'D' or refused == 'U') and entry or nil end\n", "",
     "an order key that is taken may not be sent again"},
    {"begin-lease", "turn", "elseif not alive or (argv[6]", "elseif not now or (argv[6]",
     "nothing begins without a lease"},
    {"begin-sending", "turn", "if entries_n > 0 then call('MSET', unpack(entries)) end\n", "",
     "the ledger says so before an order is sent"},
    {"begin-again", "turn", "if claim ~= 'n' then return claim == 'c' and 'C' or 'G' end", "",
     "a begin whose reply was lost takes nothing a second time"},
    {"pick-lease", "turn", "local closed = not alive or full\n", "local closed = full\n",
     "nothing is picked up without a lease"},
    {"pick-taken", "turn", "(outside or call('LPOS', taken_key, argv[6]))", "true",
     "what somebody else took is not picked up"},
    {"settle-token", "turn", "if not claim then return learn_of_lost(key, g, ledger) end\n",
     "if not claim and verb ~= 'O' then return learn_of_lost(key, g, ledger) end\nclaim = claim or 'n'\n",
     "a lost claim may not settle"},
    {"settle-learn", "turn", "if byte(ledger) == 67 and not is_created(key) then\n", "if not key then\n",
     "what a zombie learned goes into the ledger"},
    {"refused-dies", "turn", "local alike = verb == 'D' and", "local alike = false and",
     "no order of an account that is held for refusals dies of the next"},
    {"round-refused", "turn", "alike or op.effect == 'h')", "op.effect == 'h')",
     "a probe that was refused goes to the end of its account's line"},
    {"round-held", "turn", "alike or op.effect == 'h')", "alike)",
     "so does one for which the account was refused"},
    {"recover-unknown", "recover", "or 'U')", "or 'N')", "what had begun is unknown, not new"},
    {"fence-doubt", "turn", "bits % 4 > 0 or ", "", "what is sent again is not trusted"},
    {"fence-late", "turn", "turn <= last_turn or ", "", "nor is a call that runs late"},
    {"fence-unsure", "turn", " or lowest <= sure", "", "nor what Redis had forgotten before"},
    {"settle-created", "turn", "elseif is_created(key) then\n", "elseif not key then\n",
     "what the ledger knows to be created stays so"},
    {"recover-lease", "recover", "if lease and tonumber(lease) > now then return { 'ALIVE' } end\n", "",
     "a living worker is not recovered"},
    {"recover-ledger", "recover", "if holder == dead and claim == token then\n", "if not key then\n",
     "the ledger stops to say sending when its holder is gone"},
    {"fence-recovered", "recover", "local its_turns = 'turn:' .. dead\n", "local its_turns = 'none'\n",
     "what was recovered is not trusted"},
    {"fence-forgot", "turn", "if last_turn < answered then sure = math.max(seq, highest) end\n", "",
     "what Redis has forgotten is not trusted"},
    {"refused-holds", "turn", "if g.refused >= l.rejects then hold(g, l, false, jitter) end\n", "",
     "an account whose orders are refused alike is held"},
    {"may-send", NULL, NULL, NULL, "nothing leaves a worker whose lease ran out"},
    {"control", NULL, NULL, NULL, "not found is no proof where an order that exists is not found, either"},
    {NULL, NULL, NULL, NULL, NULL},
};

bool mutation_wants_late_calls(void) {
    return mutated("fence-late");
}
