/* SPDX-License-Identifier: ISC */
#include <config.h>	/* the build's: "config.h" would be the one beside this file */

#include "server/sandbox.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#ifdef HAVE_SECCOMP
#include <seccomp.h>

/* By their names: one that this machine does not have is passed over. */
static const char *const sandbox_refused[] = {
	/* other processes' memory */
#if !defined __SANITIZE_ADDRESS__	/* whose leak check traces its own process */
	"ptrace",
#endif
	"process_vm_readv", "process_vm_writev", "kcmp", "pidfd_getfd", "process_madvise",
	/* the kernel */
	"bpf", "perf_event_open", "userfaultfd", "init_module", "finit_module", "delete_module", "kexec_load",
	"kexec_file_load", "reboot", "iopl", "ioperm", "syslog", "acct", "quotactl", "swapon", "swapoff",
	"add_key", "request_key", "keyctl", "io_uring_setup",
	/* the view of the system */
	"mount", "umount", "umount2", "pivot_root", "chroot", "setns", "unshare", "move_mount", "open_tree", "fsopen",
	"fsconfig", "fsmount", "fspick", "mount_setattr", "open_by_handle_at", "name_to_handle_at",
	/* clock and name of the machine */
	"settimeofday", "clock_settime", "clock_adjtime", "adjtimex", "sethostname", "setdomainname",
};

int
sandbox_is_there(void)
{
	return 1;
}

static int
sandbox_rules(scmp_filter_ctx filter)
{
	for (size_t i = 0; i < sizeof sandbox_refused / sizeof sandbox_refused[0]; i++) {
		int number = seccomp_syscall_resolve_name(sandbox_refused[i]);
		int rc = number == __NR_SCMP_ERROR ? 0 : seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), number, 0);

		if (rc != 0)
			return rc;
	}
	return 0;
}

int
sandbox_enter(char *error, size_t size)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
	int rc = filter == NULL ? -ENOMEM : sandbox_rules(filter);

	/* With the privilege to filter, programs that gain some by exec (sendmail) still can. */
	if (rc == 0 && geteuid() == 0)
		rc = seccomp_attr_set(filter, SCMP_FLTATR_CTL_NNP, 0);
	if (rc == 0)
		rc = seccomp_attr_set(filter, SCMP_FLTATR_CTL_LOG, 1);
	if (rc == 0)
		rc = seccomp_load(filter);
	if (filter != NULL)
		seccomp_release(filter);
	if (rc == 0)
		return 0;
	snprintf(error, size, "sandbox: system calls cannot be filtered: %s", strerror(-rc));
	return -1;
}

#else

int
sandbox_is_there(void)
{
	return 0;
}

int
sandbox_enter(char *error, size_t size)
{
	snprintf(error, size, "sandbox: this build is without libseccomp");
	return -1;
}

#endif
