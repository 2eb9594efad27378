/* SPDX-License-Identifier: ISC */
#include "back_sql_kit.h"

#include <mysql.h>

#include "back_maria.h"

#define S(s) ((char *)(uintptr_t)(s))

struct maria maria;

bool
maria_find(void)
{
	if (access("/usr/sbin/mariadbd", X_OK) == 0 && access("/usr/bin/mariadb-install-db", X_OK) == 0)
		return true;
	fprintf(stderr, "no MariaDB server here: mariadb-install-db and mariadbd are needed\n");
	return false;
}

const char *
maria_admin(const char *sql)
{
	static char value[256];
	MYSQL *my = mysql_init(NULL);
	MYSQL_RES *r;
	MYSQL_ROW row;

	value[0] = '\0';
	if (mysql_real_connect(my, NULL, "root", "", NULL, 0, maria.socket, 0) == NULL || mysql_query(my, sql) != 0)
		fail_msg("%s: %s", sql, mysql_error(my));
	r = mysql_store_result(my);
	row = r == NULL ? NULL : mysql_fetch_row(r);
	if (row != NULL && row[0] != NULL)
		snprintf(value, sizeof value, "%s", row[0]);
	mysql_free_result(r);
	mysql_close(my);
	return value;
}

static bool
maria_is_ready(void)
{
	MYSQL *my = mysql_init(NULL);
	bool ready = mysql_real_connect(my, NULL, "root", "", NULL, 0, maria.socket, 0) != NULL;

	mysql_close(my);
	return ready;
}

void
maria_start(void)
{
	char data[128], sock[128], port[32], cert[128], key[128];
	char *argv[] = { S("mariadbd"), S("--no-defaults"), data, sock, port, S("--bind-address=127.0.0.1"),
		S("--skip-name-resolve"), S("--innodb-buffer-pool-size=8M"), S("--innodb-log-file-size=4M"),
		S("--innodb-flush-log-at-trx-commit=0"), S("--key-buffer-size=1M"), S("--aria-pagecache-buffer-size=1M"),
		S("--performance-schema=off"), S("--skip-log-bin"), S("--max-connections=60"), S("--local-infile=1"),
		S("--autocommit=0"), NULL, key, NULL };
	const size_t tls = sizeof argv / sizeof *argv - 3;
	usec late = clock_now() + 20 * USEC_PER_SEC;

	snprintf(data, sizeof data, "--datadir=%s", maria.data);
	snprintf(sock, sizeof sock, "--socket=%s", maria.socket);
	snprintf(port, sizeof port, "--port=%s", maria.port);
	snprintf(cert, sizeof cert, "--ssl-cert=%s/server-cert.pem", maria.dir);
	snprintf(key, sizeof key, "--ssl-key=%s/server-key.pem", maria.dir);
	if (access(strchr(cert, '/'), R_OK) == 0)
		argv[tls] = cert;
	maria.pid = kit_spawn_server("/usr/sbin/mariadbd", argv, maria.dir, "mysql", SIGKILL);
	while (!maria_is_ready()) {
		assert_true(clock_now() < late);
		assert_int_equal(waitpid(maria.pid, NULL, WNOHANG), 0);
		kit_nap();
	}
}

void
maria_stop(int signo)
{
	kill(maria.pid, signo);
	waitpid(maria.pid, NULL, 0);
	maria.pid = -1;
}

void
maria_make_certificate(void)
{
	char command[400];

	snprintf(command, sizeof command, "cd %s && openssl req -new -x509 -days 2 -nodes -subj /CN=localhost "
	    "-addext subjectAltName=DNS:localhost -newkey rsa:2048 -keyout server-key.pem -out server-cert.pem >/dev/null 2>&1 && "
	    "chmod 644 server-key.pem", maria.dir);
	assert_int_equal(system(command), 0);
}

int
maria_set_up(void **state)
{
	char data[128];
	char *argv[] = { S("mariadb-install-db"), S("--no-defaults"), data, S("--auth-root-authentication-method=normal"),
		S("--skip-test-db"), S("--skip-name-resolve"), NULL };

	(void)state;
	strcpy(maria.dir, "/tmp/weft-my-XXXXXX");
	kit_make_dir(maria.dir, "mysql");
	snprintf(maria.data, sizeof maria.data, "%s/data", maria.dir);
	snprintf(maria.socket, sizeof maria.socket, "%s/s", maria.dir);
	snprintf(maria.port, sizeof maria.port, "%d", kit_free_port());
	snprintf(maria.url, sizeof maria.url, "mariadb://weft:se%%2fcret@/weft?socket=%s", maria.socket);
	snprintf(maria.tcp_url, sizeof maria.tcp_url, "mariadb://weft:se%%2fcret@localhost:%s/weft", maria.port);
	snprintf(data, sizeof data, "--datadir=%s", maria.data);
	kit_run_program("/usr/bin/mariadb-install-db", argv, maria.dir, "mysql");
	maria_start();
	maria_admin("CREATE DATABASE weft CHARACTER SET utf8mb4");
	maria_admin("CREATE USER weft@'%' IDENTIFIED BY 'se/cret'");
	maria_admin("GRANT ALL ON weft.* TO weft@'%'");
	return 0;
}

int
maria_tear_down(void **state)
{
	(void)state;
	if (maria.pid > 0)
		maria_stop(SIGKILL);
	return kit_remove_dir(maria.dir);
}
