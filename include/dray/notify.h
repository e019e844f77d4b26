/* Tells the service manager the state of this process (systemd's Type=notify): one datagram per message. */
#ifndef DRAY_NOTIFY_H
#define DRAY_NOTIFY_H

#include <stdint.h>

#include "dray/err.h"

/* Sends `state` ("READY=1", "STOPPING=1", lines as in sd_notify(3)) to $NOTIFY_SOCKET, without
 * waiting. 1: sent. 0: there is no service manager to tell. -1: `err` says why it could not be
 * sent. */
int notify_send(const char *state, struct err *err);

/* How often to send "WATCHDOG=1", in milliseconds: half of what $WATCHDOG_USEC allows. 0: nobody waits for it. */
uint64_t notify_watchdog_ms(void);

#endif
