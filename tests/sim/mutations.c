/* The guards of the protocol, each taken out: the simulation must fail without it. `from` must
 * stand exactly once in the shipped script (comments and indentation taken out). */
#include "sim.h"

#include <string.h>

const struct mutation mutations[] = {
    {"claim-lease", "turn", "if claims then\nif not alive then\n", "if claims then\nif not now then\n",
     "nothing is claimed without a lease"},
    {"begin-token", "turn", "if letter == ENDED then\nletter = 'L'\n", "if not b then\nletter = 'L'\n",
     "a job whose claim was lost may not begin"},
    {"begin-ledger", "turn",
     "if refused then return refused, (refused == 'D' or refused == 'U') and entry or nil end\n", "",
     "an order key that is taken may not be sent again"},
    {"begin-lease", "turn", "elseif not alive or (argv[6]", "elseif not now or (argv[6]",
     "nothing begins without a lease"},
    {"begin-sending", "turn", "if entries_n > 0 then call('MSET', unpack(entries)) end\n", "",
     "the ledger says so before an order is sent"},
    {"begin-again", "turn", "elseif letter ~= HELD then\n", "elseif not now then\n",
     "a begin whose reply was lost takes nothing a second time"},
    {"pick-lease", "turn", "local closed = not alive or full or stands\n", "local closed = full or stands\n",
     "nothing is picked up without a lease"},
    {"pick-taken", "turn", "(outside or call('LPOS', taken_key, argv[6]))", "true",
     "what somebody else took is not picked up"},
    {"settle-token", "turn", "if letter == ENDED then\nletters[at] = lost(key, g, ledger)\n",
     "if not b or letter == ENDED and verb ~= 'O' then\nletters[at] = lost(key, g, ledger)\n",
     "a lost claim may not settle"},
    {"settle-learn", "turn", "if byte(ledger) == 67 and not is_created(key) then\n", "if not key then\n",
     "what a zombie learned goes into the ledger"},
    {"refused-dies", "turn", "alike, result = true, ''", "alike = nil",
     "no order of an account that is held for refusals dies of the next"},
    {"round-refused", "turn", "put_back('W', b, i, account, '0', '', true)",
     "put_back('W', b, i, account, '0', '', false)",
     "a probe that was refused goes to the end of its account's line"},
    {"round-held", "turn", "put_back(op.verb, b, i, account, due, body, op.effect == 'h')",
     "put_back(op.verb, b, i, account, due, body, false)", "so does one for which the account was refused"},
    {"recover-unknown", "recover", "or 'U')", "or 'N')", "what had begun is unknown, not new"},
    {"settle-created", "turn", "if is_created(key) then\n", "if not key then\n",
     "what the ledger knows to be created stays so"},
    {"recover-lease", "recover", "if lease and tonumber(lease) > now then return { 'ALIVE' } end\n", "",
     "a living worker is not recovered"},
    {"recover-ledger", "recover", "if holder == dead and claim == n .. '.' .. ms(i - 1) then ",
     "if not key then ", "the ledger stops to say sending when its holder is gone"},
    {"refused-holds", "turn", "if g.refused >= l.rejects then hold(g, l, false, jitter) end\n", "",
     "an account whose orders are refused alike is held"},
    {"may-send", NULL, NULL, NULL, "nothing leaves a worker whose lease ran out"},
    {"control", NULL, NULL, NULL, "not found is no proof where an order that exists is not found, either"},
    {NULL, NULL, NULL, NULL, NULL},
};

uint64_t mutation_first(const char *name, uint64_t from) {
    static const struct {
        const char *name;
        uint64_t first;
    } rare[] = {
        {"pick-lease", 1700}, {"settle-token", 1400}, {"round-refused", 3300}, {"settle-created", 5200}};
    for (size_t i = 0; i < sizeof(rare) / sizeof(rare[0]); i++)
        if (strcmp(rare[i].name, name) == 0 && rare[i].first > from)
            return rare[i].first;
    return from;
}
