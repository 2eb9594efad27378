/* SPDX-License-Identifier: ISC */
#include "fiber/why.h"

#include "base/must.h"

const char *
wait_why_name(enum wait_why why)
{
	static const char *const name[WAIT_COUNT] = {
		[WAIT_NONE] = "running",
		[WAIT_POOL] = "pool queue",
		[WAIT_REDIS] = "redis",
		[WAIT_SQL] = "sql",
		[WAIT_HTTP] = "http",
		[WAIT_CLIENT] = "client",
		[WAIT_SLEEP] = "sleep",
		[WAIT_FD] = "descriptor",
		[WAIT_THREAD] = "thread",
		[WAIT_FIBER] = "fiber",
		[WAIT_MESSAGE] = "message",
	};

	must((unsigned)why < WAIT_COUNT && name[why] != 0);
	return name[why];
}
