/* The guards of the protocol, each taken out: the simulation must fail without it. `from` must
 * stand exactly once in the shipped script (comments and indentation taken out). */
#include "sim.h"

#include <string.h>

const struct mutation mutations[] = {
    {"claim-lease", "turn", "if not alive then\nclaimed", "if not now then\nclaimed",
     "nothing is claimed without a lease"},
    {"begin-token", "turn", "if not claim then return 'L' end\n", "claim = claim or ''\n",
     "a job whose claim was lost may not begin"},
    {"begin-ledger", "turn", "if refused then return refused, what end\n", "",
     "an order key that is taken may not be sent again"},
    {"begin-lease", "turn", "if not alive then\nbegun", "if not now then\nbegun",
     "nothing begins without a lease"},
    {"begin-sending", "turn",
     "entries_set, sets = entries_set + 2, sets + 1\n", "sets = sets + 1\n",
     "the ledger says so before an order is sent"},
    {"begin-again", "turn", "if claim ~= '' then return byte(claim) < 97 and 'C' or 'G' end", "",
     "a begin whose reply was lost takes nothing a second time"},
    {"pick-lease", "pick", "if not lease or tonumber(lease) <= now then return {} end\n", "",
     "nothing is picked up without a lease"},
    {"pick-ledger", "pick", "local free = call('SETNX', key,", "local free = 1 == 1 or call('SETNX', key,",
     "a pick-up looks into the ledger, too"},
    {"pick-taken", "pick", "local begun = there == 1 and", "local begun = free and",
     "what somebody else took is not picked up"},
    {"settle-token", "turn",
     "if not claim then return learn_of_lost(key, ttl, ledger) end\n",
     "if not claim and op.verb ~= DONE then return learn_of_lost(key, ttl, ledger) end\nclaim = claim or ''\n",
     "a lost claim may not settle"},
    {"settle-learn", "turn", "if byte(ledger) == 67 and not is_created(key) then\n",
     "if not key then\n", "what a zombie learned goes into the ledger"},
    {"settle-created", "turn", "elseif is_created(key) then\n", "elseif not key then\n",
     "what the ledger knows to be created stays so"},
    {"recover-lease", "recover", "if lease and tonumber(lease) > now then return { 'ALIVE' } end\n",
     "", "a living worker is not recovered"},
    {"recover-unknown", "recover", "or 'U')", "or 'N')", "what had begun is unknown, not new"},
    {"recover-ledger", "recover", "if holder == dead and claim == token then\n",
     "if not key then\n", "the ledger stops to say sending when its holder is gone"},
    {"fence-late", "turn", "turn <= last_turn or ", "", "a call that runs late is not trusted"},
    {"undo", NULL, NULL, NULL, "results that went ahead of a turn that did not run are taken away"},
    {"calm-late", "turn", "turn <= ran or ", "", "nor is it a calm turn"},
    {"calm-forgot", "turn", "ran < answered or ", "", "nor is what Redis has forgotten"},
    {"calm-unsure", "turn", " or lowest <= unsure", "", "nor what it had forgotten before"},
    {"calm-lease", "turn", "if not lease or lease <= now then break end\n", "", "nor is a worker without a lease"},
    {"calm-ledger", "turn", "if try('MSETNX', unpack(entries)) ~= 1 then break end\n", "call('MSET', unpack(entries))\n",
     "an order key that is taken is left to the rest of the turn"},
    {"bundle-recover", "recover", "bundles_drop(KEYS[1], dead)\n", "", "no bundle is left of one that was recovered"},
    {"bundle-leave", "leave", "bundles_drop(KEYS[5], ARGV[1])\n", "", "nor of one that left"},
    {"fold-turn", "turn", "if size[15] > 0 then\n", "if false then\n", "what is not calm finds each claim of a bundle"},
    {"fold-recover", "recover", "\nunfold(KEYS[10], KEYS[11])\n", "\n", "so does who recovers a worker"},
    {"fence-recovered", "recover", "local its_turns = 'turn:' .. dead\n", "local its_turns = 'none'\n",
     "what was recovered is not trusted"},
    {"fence-forgot", "turn", "if last_turn < answered then sure = math.max(seq, highest) end\n", "",
     "what Redis has forgotten is not trusted"},
    {"fence-doubt", "turn", "bits % 4 > 0 or ", "", "what is sent again is not trusted"},
    {"may-send", NULL, NULL, NULL, "nothing leaves a worker whose lease ran out"},
    {NULL, NULL, NULL, NULL, NULL},
};

uint64_t mutation_first_seed(const struct mutation *m, uint64_t from) {
    return strcmp(m->name, "calm-late") == 0 ? 15880 : from;
}
