/* SPDX-License-Identifier: ISC */
#ifndef SERVER_MASTER_H
#define SERVER_MASTER_H

struct config;

/*
 * Run as the master: open the sockets, start the workers, keep them alive, obey the control socket, until told to stop.
 *
 * config   owned by the master from here on
 * Returns  the exit status: 0 after an orderly stop, 1 when it could not start
 *          (the reason is in the log)
 */
int master_run(struct config *config);

#endif
