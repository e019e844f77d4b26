/* The protocol of claim, begin, send, settle and recover (docs/protocol.md), as a model that spin checks
 * exhaustively: two workers, either of which may die, or be stopped for any time at any step (a zombie);
 * one order that was pushed twice; a provider that may create and not answer.
 *
 *   spin -a protocol.pml && cc -O2 -DSAFETY -DNOCLAIM -o pan pan.c && ./pan -m1000000     (as test_model.py does)
 *
 * Proven, in every state of every schedule:
 *   never doubled   the provider creates the order at most once, and at most one job says "created"
 *   never lost      each job is in exactly one place, and is settled in the end
 *   fenced          only the holder of a claim settles; a fate is never given twice
 *
 * The ways it may be changed, each by -D:
 *   INEXACT         "not found" proves nothing: the order is then dead-lettered (on_absent = hold), where
 *                   it is sent again otherwise (VU: on_absent = retry)
 *   HOLD            on_unknown = hold: nothing is looked up
 *   NO_TOKEN        a guard removed: settle and begin do not ask whose claim it is
 *   NO_LEDGER       … begin does not ask whether the order key is free
 *   NO_LEASE        … the worker does not look at its lease before it sends
 *   NO_EPOCH        … it looks whether it has a lease, but not whether it is the one it began under
 *   NO_GIVE_BACK    … a claim that begin refused is forgotten by its worker
 *   NO_WAIT         … a look-up does not wait until what was sent has arrived
 *   NO_CONTROL      … "not found" is believed although the same look-up does not find an order that is known to exist
 *   NO_SECOND       … "not found" is believed the first time, though a look-up may lag behind by up to absent_window
 *   STOP_WINDOW     the limit of it all: the process is stopped between looking at its lease and sending
 * With any of the last nine, spin must find a violation.
 *
 * What is simplified: a worker has one order in hand, so that its name names the claim (the token's part).
 * Each step is one atomic script, or one step of the worker's loop; between two, anything may happen: a
 * zombie is a worker that is slow. Time does not exist: a lease may run out whenever it likes, LEASES
 * times; a retry is due at once. A look-up that lies (a router without a backend, an empty index) lies of
 * every order while it does, which is what the control is for; one that hides a single order for longer
 * than absent_window is believed, here and in dray. */

#define WORKERS 2
#define JOBS    2
#ifndef LEASES
#define LEASES  2 /* so many leases of living workers run out */
#endif
#ifndef DEATHS
#define DEATHS  1
#endif
#ifndef FAULTS
#define FAULTS  1 /* so often the provider refuses, or does not answer */
#endif
#ifndef BLINDS
#define BLINDS  0 /* so often the provider's look-up says "not found" of all that it has */
#endif
#ifndef POISON
#define POISON  2 /* recoveries; 3 in dray */
#endif
#define NOBODY  9

mtype:place = { IN_JOBS, IN_FLIGHT, IN_DELAYED, IN_RESULTS, IN_DEAD };
mtype:phase = { SEND, RECOVERED, LOOKUP };
mtype:entry = { FREE, SENDING, LOOKING, CREATED, UNKNOWN }; /* the ledger: nothing, S, L, C, U */
mtype:lease = { ALIVE, OVER, GONE };                        /* GONE: recovered, or not there yet */
mtype:request = { NONE, ON_WIRE, SAID_CREATED, SAID_NO, SAID_NOTHING };
mtype:answer = { GO, LOST, BUSY, EXISTS, UNSURE };
mtype:finding = { FOUND, NO_PROOF, ONCE, TWICE }; /* by a look-up, all told */
mtype:fate = { OPEN, SAYS_CREATED, SAYS_DUPLICATE, SAYS_UNKNOWN };

/* -- Redis ---------------------------------------------------------------------------------------------- */

mtype:place place[JOBS] = IN_JOBS;
mtype:phase phase[JOBS] = SEND;
mtype:fate fate[JOBS] = OPEN;
byte holder[JOBS] = NOBODY; /* whose claim it is */
bool begun[JOBS];
bool absent[JOBS];          /* said once that it is not there, in the job's header */
bool later[JOBS];           /* it came back because its key is busy: behind the other one */
byte recoveries[JOBS];
mtype:entry ledger = FREE; /* one key: both jobs hold the same order */
byte sender = NOBODY;      /* the S entry's worker */
mtype:lease lease[WORKERS] = GONE;

/* -- the world ------------------------------------------------------------------------------------------ */

byte created;                     /* orders at the provider */
bool lags;                        /* … which its look-up does not show yet */
bool blind;                       /* its look-up finds nothing at all */
byte blinds = BLINDS;
mtype:request request[WORKERS] = NONE;
byte strays;                      /* requests on the wire that nobody waits for any more */
bool up[WORKERS];
bool recovered[WORKERS];          /* the worker has learned that it was, since it began its order */
byte leases = LEASES, deaths = DEATHS, faults = FAULTS;

#define claimable(j) (place[j] == IN_JOBS || place[j] == IN_DELAYED)
#define settled(j) (place[j] == IN_RESULTS || place[j] == IN_DEAD)

#ifdef NO_TOKEN
#define claim_is_mine(w, j) (true)
#else
#define claim_is_mine(w, j) (place[j] == IN_FLIGHT && holder[j] == w)
#endif

/* The worker counts its lease from before it asked for it, so where it believes in it, Redis does too. */
#ifdef NO_LEASE
#define may_send(w) (true)
#elif defined(NO_EPOCH)
#define may_send(w) (lease[w] == ALIVE)
#else
#define may_send(w) (lease[w] == ALIVE && !recovered[w])
#endif

/* C is the truth, whoever wrote it: nothing else takes its place. */
inline write_ledger(entry) {
    if
    :: entry == CREATED || ledger != CREATED -> ledger = entry; sender = NOBODY
    :: else
    fi
}

inline put(j, where) {
    place[j] = where;
    holder[j] = NOBODY;
    begun[j] = false;
    later[j] = false
}

/* What the ledger says against sending (or looking up) the job: nothing. */
#ifdef NO_LEDGER
#define key_free(what) (what == SEND || ledger == LOOKING || ledger == FREE)
#else
#define key_free(what) (ledger == FREE || (ledger == LOOKING && what == LOOKUP))
#endif

inline create() {
    created++;
#ifdef LAG
    lags = true;
#endif
    assert(created == 1) /* never doubled */
}

/* The worker's hands are empty: fewer states to tell apart. */
inline done() {
    j = 0;
    reply = 0;
    said = 0;
    what = 0;
    recovered[me] = false
}

/* settle.lua: the job goes where it goes and the ledger learns, in one script, for the claim's holder only.
 * What a zombie learned of a created order goes into the ledger all the same. */
inline settle(j, where, says, next, entry) {
    atomic {
        if
        :: claim_is_mine(me, j) ->
            assert(place[j] == IN_FLIGHT && holder[j] == me); /* fenced */
            assert(fate[j] == OPEN);                          /* one fate */
            put(j, where);
            fate[j] = says;
            phase[j] = next;
            absent[j] = false;
            write_ledger(entry);
            assert(says != SAYS_CREATED || created == 1);
            assert(says != SAYS_DUPLICATE || created == 1);
            assert(!(fate[0] == SAYS_CREATED && fate[1] == SAYS_CREATED))
        :: else ->
            if
            :: entry == CREATED -> write_ledger(CREATED)
            :: else
            fi
        fi;
        done()
    }
}

/* Back as it was, the ledger untouched: the key is under way elsewhere. */
inline settle_busy(j) {
    atomic {
        if
        :: claim_is_mine(me, j) -> put(j, IN_DELAYED); later[j] = true
        :: else
        fi;
        done()
    }
}

/* "Not found", for the first time: looked up once more, absent_window later. */
inline settle_absent_once(j) {
    atomic {
        if
        :: claim_is_mine(me, j) -> put(j, IN_DELAYED); phase[j] = LOOKUP; absent[j] = true; write_ledger(LOOKING)
        :: else
        fi;
        done()
    }
}

/* Refused by begin. Another worker may have the job; but if only the lease had run out, and nobody
 * recovered us, the claim is still ours and no order of ours: it is found and handed back. */
inline give_back(j) {
    atomic {
#ifndef NO_GIVE_BACK
        if
        :: claim_is_mine(me, j) -> put(j, IN_DELAYED)
        :: else
        fi;
#endif
        done()
    }
}

/* Whether the order exists is not known. */
#ifdef HOLD
#define settle_unknown(j) settle(j, IN_DEAD, SAYS_UNKNOWN, SEND, UNKNOWN)
#else
#define settle_unknown(j) settle(j, IN_DELAYED, OPEN, LOOKUP, LOOKING)
#endif

proctype Worker(byte me) {
    byte j;
    mtype:answer reply;
    mtype:finding said;
    mtype:phase what; /* is to be done with the job, as claimed */
end_idle: {
    /* claim.lua, for a worker whose lease is alive. */
    atomic {
        if
        :: lease[me] == ALIVE && claimable(0) && !(later[0] && claimable(1)) -> j = 0
        :: lease[me] == ALIVE && claimable(1) && !(later[1] && claimable(0)) -> j = 1
        fi;
        put(j, IN_FLIGHT);
        holder[j] = me;
        what = phase[j]
    }

    /* Its last worker died after it had begun: to be looked up, or poison. No request leaves. */
    if
    :: what == RECOVERED && recoveries[j] >= POISON ->
        settle(j, IN_DEAD, SAYS_UNKNOWN, SEND, UNKNOWN); goto end_idle
    :: what == RECOVERED && recoveries[j] < POISON ->
        settle_unknown(j); goto end_idle
    :: what != RECOVERED
    fi;

    /* begin.lua: is the claim ours, the lease alive, the key free? Only then the ledger says "sending". */
    atomic {
        if
        :: !claim_is_mine(me, j) || lease[me] != ALIVE -> reply = LOST
        :: else ->
            if
            :: key_free(what) ->
                reply = GO;
                begun[j] = true;
                recovered[me] = false;
                if
                :: what == SEND -> ledger = SENDING; sender = me
                :: else
                fi
            :: else ->
                if
                :: ledger == CREATED -> reply = EXISTS
                :: ledger == UNKNOWN -> reply = UNSURE
                :: else -> reply = BUSY
                fi
            fi
        fi
    }
    if
    :: reply == LOST -> give_back(j); goto end_idle
    :: reply == BUSY -> settle_busy(j); goto end_idle
    :: reply == UNSURE -> settle(j, IN_DEAD, SAYS_UNKNOWN, SEND, UNKNOWN); goto end_idle
    :: reply == EXISTS && what == LOOKUP -> settle(j, IN_RESULTS, SAYS_CREATED, SEND, CREATED); goto end_idle
    :: reply == EXISTS && what != LOOKUP -> settle(j, IN_RESULTS, SAYS_DUPLICATE, SEND, CREATED); goto end_idle
    :: reply == GO && what == LOOKUP -> goto look_up
    :: reply == GO && what != LOOKUP
    fi;

    /* Right before the first byte: the lease, once more. */
#ifdef STOP_WINDOW
    if
    :: may_send(me)
    :: !may_send(me) -> goto hand_back
    fi;
    request[me] = ON_WIRE;
#else
    atomic {
        if
        :: may_send(me) -> request[me] = ON_WIRE
        :: !may_send(me) -> goto hand_back
        fi
    }
#endif

    /* The answer; or none comes in time, and the request may still be on its way. */
    if
    :: atomic { request[me] == SAID_CREATED -> request[me] = NONE };
        settle(j, IN_RESULTS, SAYS_CREATED, SEND, CREATED)
    :: atomic { request[me] == SAID_NO -> request[me] = NONE };
        settle(j, IN_DELAYED, OPEN, SEND, FREE)
    :: atomic { request[me] == SAID_NOTHING -> request[me] = NONE };
        settle_unknown(j)
    :: atomic { request[me] == ON_WIRE && faults > 0 -> faults--; request[me] = NONE; strays++ };
        settle_unknown(j)
    fi;
    goto end_idle;

look_up:
#ifdef INEXACT
    if
    :: created > 0 -> settle(j, IN_RESULTS, SAYS_CREATED, SEND, CREATED)
    :: true -> settle(j, IN_DEAD, SAYS_UNKNOWN, SEND, UNKNOWN)
    fi;
#else
    /* A recovered order is looked up after request_timeout, any after lookup_delay: that by then the
     * provider is done with what it was sent is what "surely absent" rests on. */
#ifndef NO_WAIT
    strays == 0 && request[0] != ON_WIRE && request[1] != ON_WIRE;
#endif
    /* absent_window later, whatever was created can be found. */
#ifndef NO_SECOND
    !(absent[j] && lags);
#endif
    atomic {
        if
        :: created > 0 && !blind && !lags -> said = FOUND
        :: else ->
            if
#ifndef NO_CONTROL
            :: blind -> said = NO_PROOF /* the control is not found, either */
            :: !blind && !absent[j] -> said = ONCE
            :: !blind && absent[j] -> said = TWICE
#else
            :: !absent[j] -> said = ONCE
            :: absent[j] -> said = TWICE
#endif
            fi
        fi;
#ifdef NO_SECOND
        if
        :: said == ONCE -> said = TWICE
        :: else
        fi
#endif
    }
    if
    :: said == FOUND -> settle(j, IN_RESULTS, SAYS_CREATED, SEND, CREATED)
    :: said == NO_PROOF -> settle(j, IN_DEAD, SAYS_UNKNOWN, SEND, UNKNOWN) /* or again; that it is blind then, too */
    :: said == ONCE -> settle_absent_once(j)
    :: said == TWICE -> settle(j, IN_DELAYED, OPEN, SEND, FREE)
    fi;
#endif
    goto end_idle;

hand_back: /* nothing was sent */
    settle(j, IN_DELAYED, OPEN, SEND, FREE);
    goto end_idle
    } unless { !up[me] };

    /* kill -9. Its request, if one is on the wire, lives on. It is started again under another name,
     * which the model does without: once it was recovered, its place is free. */
    atomic {
        if
        :: request[me] == ON_WIRE -> strays++
        :: else
        fi;
        request[me] = NONE;
        done()
    }
end_dead:
    atomic { lease[me] == GONE -> up[me] = true };
    goto end_idle
}

/* recover.lua: jobs never begun go back, begun ones are unknown; look-ups are due again. */
inline recover(w) {
    for (i : 0 .. JOBS - 1) {
        if
        :: place[i] == IN_FLIGHT && holder[i] == w && begun[i] && phase[i] == SEND ->
            phase[i] = RECOVERED;
            recoveries[i]++;
            if
            :: ledger == SENDING && sender == w -> ledger = LOOKING; sender = NOBODY
            :: else
            fi;
            put(i, IN_DELAYED)
        :: place[i] == IN_FLIGHT && holder[i] == w && !(begun[i] && phase[i] == SEND) ->
            put(i, IN_DELAYED)
        :: else
        fi
    }
    i = 0;
    lease[w] = GONE
}

/* Everything that happens to a worker: its lease runs out, others recover it, its beat gets it a lease
 * again (and tells it that it was recovered), it dies, the provider answers it. */
proctype World(byte w) {
    byte i;
end_world:
    do
    :: atomic { lease[w] == ALIVE && up[w] && leases > 0 -> leases--; lease[w] = OVER }
    :: atomic { lease[w] == ALIVE && !up[w] -> lease[w] = OVER }
    :: atomic { lease[w] == OVER -> recover(w) }
    :: atomic { lease[w] == OVER && up[w] -> lease[w] = ALIVE }
    :: atomic { lease[w] == GONE && up[w] -> lease[w] = ALIVE; recovered[w] = true }
    :: atomic { up[w] && deaths > 0 -> deaths--; up[w] = false }
    :: atomic { request[w] == ON_WIRE -> create(); request[w] = SAID_CREATED }
    :: atomic { request[w] == ON_WIRE && faults > 0 -> faults--; create(); request[w] = SAID_NOTHING }
    :: atomic { request[w] == ON_WIRE && faults > 0 -> faults--; request[w] = SAID_NOTHING }
    :: atomic { request[w] == ON_WIRE && faults > 0 -> faults--; request[w] = SAID_NO }
    :: atomic { lags -> lags = false }
    :: atomic { w == 0 && !blind && blinds > 0 -> blinds--; blind = true }
    :: atomic { w == 0 && blind -> blind = false }
    :: atomic { strays > 0 -> strays--; create() }
    :: atomic { strays > 0 -> strays-- }
    od
}

init {
    byte n;
    atomic {
        for (n : 0 .. WORKERS - 1) {
            up[n] = true;
            lease[n] = ALIVE;
            run Worker(n);
            run World(n)
        }
    }
}

/* Under the fairness that every process that can go on does so at last. */
ltl never_lost { <> (settled(0) && settled(1)) }
