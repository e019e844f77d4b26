/* The guards of the protocol, each taken out: the simulation must fail without it. `from` must stand
 * exactly once in the shipped script (comments and indentation taken out). */
#include "sim.h"

const struct mutation mutations[] = {
    {"claim-lease", "claim", "if not lease or tonumber(lease) <= now then", "if not now then",
     "nothing is claimed without a lease"},
    {"begin-token", "begin", "if not claim then return 'L' end\n", "",
     "a job whose claim was lost may not begin"},
    {"begin-ledger", "begin", "if refused then return refused end\n", "",
     "an order key that is taken may not be sent again"},
    {"begin-lease", "begin", "if not lease or tonumber(lease) <= now then\n", "if not now then\n",
     "nothing begins without a lease"},
    {"begin-sending", "begin", "ledger_sets[#ledger_sets + 1] = key\nledger_sets[#ledger_sets + 1] = entry\n", "",
     "the ledger says so before an order is sent"},
    {"begin-again", "begin", "if claim ~= '' then return 'G' end\n", "",
     "a begin whose reply was lost takes nothing a second time"},
    {"pick-lease", "pick", "if not lease or tonumber(lease) <= now or", "if", "nothing is picked up without a lease"},
    {"settle-token", "settle", "if not claims[i] then return learn_of_lost(key, account, ledger) end\n", "",
     "a lost claim may not settle"},
    {"settle-learn", "settle", "if string.sub(ledger, 1, 1) == 'C' and not is_created(key) then\n",
     "if not key then\n", "what a zombie learned goes into the ledger"},
    {"settle-created", "settle", "elseif is_created(key) then\n", "elseif not key then\n",
     "what the ledger knows to be created stays so"},
    {"recover-lease", "recover", "if lease and tonumber(lease) > now then return { 'ALIVE' } end\n", "",
     "a living worker is not recovered"},
    {"recover-unknown", "recover", "or 'U')", "or 'N')", "what had begun is unknown, not new"},
    {"recover-ledger", "recover", "if holder == dead and claim == token then\n", "if not key then\n",
     "the ledger stops to say sending when its holder is gone"},
    {"may-send", NULL, NULL, NULL, "nothing leaves a worker whose lease ran out"},
    {NULL, NULL, NULL, NULL, NULL},
};
