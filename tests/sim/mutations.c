/* The guards of the protocol, each taken out: the simulation must fail without it. `from` must stand
 * exactly once in the shipped script (comments and indentation taken out). */
#include "sim.h"

const struct mutation mutations[] = {
    {"begin-token", "begin", "if not claims[i] then return 'L' end\n", "",
     "a job whose claim was lost may not begin"},
    {"begin-ledger", "begin", "if refused then return refused end\n", "",
     "an order key that is taken may not be sent again"},
    {"begin-lease", "begin", "if not lease or tonumber(lease) <= now then\n", "if not now then\n",
     "nothing begins without a lease"},
    {"begin-sending", "begin",
     "ledger_sets[#ledger_sets + 1] = keys[i]\nledger_sets[#ledger_sets + 1] = entry\n", "",
     "the ledger says so before an order is sent"},
    {"begin-again", "begin", "if claims[i] ~= '' then return 'G' end\n", "",
     "a begin whose reply was lost takes nothing a second time"},
    {"settle-token", "settle", "if not claims[i] then return learn_of_lost(key, account, ledger) end\n", "",
     "a lost claim may not settle"},
    {"settle-learn", "settle", "if string.sub(ledger, 1, 1) == 'C' then\nlocal entry", "if false then\nlocal entry",
     "what a zombie learned goes into the ledger"},
    {"recover-lease", "recover", "if lease and tonumber(lease) > now then return { 'ALIVE' } end\n", "",
     "a living worker is not recovered"},
    {"recover-unknown", "recover", "ms(recoveries) .. 'U'", "ms(recoveries) .. 'N'",
     "what had begun is unknown, not new"},
    {"recover-ledger", "recover", "if holder == dead and claim == token then\n", "if false then\n",
     "the ledger stops to say sending when its holder is gone"},
    {"may-send", NULL, NULL, NULL, "nothing leaves a worker whose lease ran out"},
    {NULL, NULL, NULL, NULL, NULL},
};
