/* SPDX-License-Identifier: ISC */
/*
 * The HTTP driver against a real nginx: kept connections, TLS with certificates of the test's own, and HTTP/2.
 * nginx says on which connection a request came, the how manieth there, and in which version.
 */
#include "tests/unit/back_web.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[] = "/tmp/back_http.XXXXXX";
static unsigned port_plain, port_tls, port_brief, port_http1;
static pid_t server;

static const char certificates[] =
    "cd %s && exec >openssl.log 2>&1 && "
    "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=test-ca -keyout ca.key -out ca.pem && "
    "openssl req -newkey rsa:2048 -nodes -subj /CN=localhost -keyout server.key -out server.csr && "
    "printf 'subjectAltName=DNS:localhost' > san && "
    "openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile san -out server.pem";

static const char conf[] =
    "daemon off; master_process off; worker_processes 1; pid %1$s/pid; error_log %1$s/error.log;\n"
    "events { worker_connections 256; }\n"
    "http {\n"
    "access_log off; client_body_temp_path %1$s/b; proxy_temp_path %1$s/p; fastcgi_temp_path %1$s/f; uwsgi_temp_path %1$s/u; scgi_temp_path %1$s/s;\n"
    "ssl_certificate %1$s/server.pem; ssl_certificate_key %1$s/server.key; default_type text/plain;\n"
    "server {\n"
    "listen 127.0.0.1:%2$u; listen 127.0.0.1:%3$u ssl http2; listen 127.0.0.1:%5$u ssl;\n"
    "root %1$s; keepalive_requests 100; http2_max_concurrent_streams 64;\n"
    "location /big { limit_rate 250k; }\n"
    "location / { return 200 '$connection $connection_requests $server_protocol $request_method'; }\n"
    "}\n"
    "server { listen 127.0.0.1:%4$u ssl; keepalive_timeout 1s; location / { return 200 '$connection $connection_requests $server_protocol $request_method'; } }\n"
    "}\n";

/* ---- the server ---- */

static unsigned
free_port(void)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t len = sizeof in;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	must(bind(fd, (struct sockaddr *)&in, len) == 0 && getsockname(fd, (struct sockaddr *)&in, &len) == 0);
	close(fd);
	return ntohs(in.sin_port);
}

static void
write_files(void)
{
	static char big[100000];
	char path[128];
	FILE *f;

	snprintf(path, sizeof path, "%s/nginx.conf", folder);
	f = fopen(path, "w");
	must(f != NULL);
	fprintf(f, conf, folder, port_plain, port_tls, port_brief, port_http1);
	must(fclose(f) == 0);
	snprintf(path, sizeof path, "%s/big", folder);
	f = fopen(path, "w");
	must(f != NULL && fwrite(big, 1, sizeof big, f) == sizeof big && fclose(f) == 0);
}

static bool
server_answers(void)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port_http1), .sin_addr = { htonl(INADDR_LOOPBACK) } };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool yes = connect(fd, (struct sockaddr *)&in, sizeof in) == 0;

	close(fd);
	return yes;
}

static int
server_start(void **state)
{
	char command[1000], path[128], log[128];

	(void)state;
	must(mkdtemp(folder) != NULL);
	port_plain = free_port();
	port_tls = free_port();
	port_brief = free_port();
	port_http1 = free_port();
	snprintf(command, sizeof command, certificates, folder);
	if (system(command) != 0)
		fail_msg("no certificates: see %s/openssl.log", folder);
	write_files();
	snprintf(path, sizeof path, "%s/nginx.conf", folder);
	snprintf(log, sizeof log, "%s/start.log", folder);
	server = fork();
	must(server >= 0);
	if (server == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		must(freopen(log, "w", stderr) != NULL);
		execlp("nginx", "nginx", "-p", folder, "-c", path, "-e", log, (char *)NULL);
		execl("/usr/sbin/nginx", "nginx", "-p", folder, "-c", path, "-e", log, (char *)NULL);
		_exit(127);
	}
	for (int i = 0; i < 1000 && !server_answers(); i++) {
		if (waitpid(server, NULL, WNOHANG) == server)
			fail_msg("no nginx: see %s", log);
		usleep(10000);
	}
	return 0;
}

static int
server_stop(void **state)
{
	char command[64];

	(void)state;
	kill(server, SIGKILL);
	waitpid(server, NULL, 0);
	snprintf(command, sizeof command, "rm -r %s", folder);
	return system(command);
}

/* ---- asking ---- */

/* What nginx has said: its number of the connection, how many requests came on it so far, version and method. */
struct said {
	unsigned connection, requests;
	char version[16], method[16];
};

static struct said
said_in(const struct ask *a)
{
	struct said s;

	if (a->rc != WEFT_OK)
		fail_msg("%s", a->fault.text);
	must(sscanf(a->call.http->body.at, "%u %u %15s %15s", &s.connection, &s.requests, s.version, s.method) == 4);
	return s;
}

static struct said
ask_once(const char *method)
{
	struct said s;
	struct ask a;

	web_ask(&a, method, "/");
	web_start(&a);
	web_await(&a);
	s = said_in(&a);
	ask_fini(&a);
	return s;
}

static void
open_pool(const char *scheme, const char *host, unsigned port, unsigned max, const char *query)
{
	char url[200];

	snprintf(url, sizeof url, "%s://%s:%u/%s", scheme, host, port, query);
	web_pool((struct pool_conf){ .max = max, .url = url });
}

static char *
trust(void)
{
	static char query[100];

	snprintf(query, sizeof query, "?ca=%s/ca.pem", folder);
	return query;
}

/* ---- plain ---- */

static void
a_kept_connection_serves_many(void **state)
{
	struct said s, first;

	(void)state;
	open_pool("http", "localhost", port_plain, 2, "");
	first = ask_once("GET");
	assert_string_equal(first.version, "HTTP/1.1");
	for (unsigned i = 2; i <= 100; i++) {
		s = ask_once(i % 3 == 0 ? "POST" : "GET");
		assert_int_equal(s.connection, first.connection);
		assert_int_equal(s.requests, i);
	}
	/* Its hundredth was its last: nginx has closed it, and nobody notices. */
	s = ask_once("POST");
	assert_true(s.connection != first.connection);
	assert_int_equal(s.requests, 1);
}

/* ---- TLS ---- */

static void
certificates_are_checked(void **state)
{
	struct ask a;

	(void)state;
	open_pool("https", "localhost", port_http1, 1, trust());
	assert_string_equal(ask_once("GET").version, "HTTP/1.1");
	/* The same server, by a name that is not in its certificate. */
	open_pool("https", "127.0.0.1", port_http1, 1, trust());
	web_fails(&a, "GET", "/", WEFT_DOWN, "SSL");
	ask_fini(&a);
	open_pool("https", "localhost", port_http1, 1, "?ca=/nowhere.pem");
	web_fails(&a, "GET", "/", WEFT_DOWN, "nowhere.pem");
	ask_fini(&a);
	open_pool("https", "localhost", port_plain, 1, trust());
	web_fails(&a, "GET", "/", WEFT_DOWN, "SSL");
	ask_fini(&a);
}

/* One pool trusts the server and has a connection to it; the other does not get it. */
static void
b61_other_trust_is_another_connection(void **state)
{
	struct pool *trusting;
	struct ask a;

	(void)state;
	open_pool("https", "localhost", port_http1, 1, trust());
	ask_once("GET");
	trusting = web.pool;
	web.pool = NULL;
	open_pool("https", "localhost", port_http1, 1, "");
	web_fails(&a, "GET", "/", WEFT_DOWN, "certificate");
	ask_fini(&a);
	pool_close(&web.pool);
	web.pool = trusting;
	assert_int_equal(ask_once("GET").requests, 2);
}

static bool
never(void *unused)
{
	(void)unused;
	return false;
}

/* nginx closes after a second, and says so in TLS first; a POST that comes then is sent on a new one, and not given up. */
static void
a_connection_that_tls_has_closed_is_not_used(void **state)
{
	(void)state;
	open_pool("https", "localhost", port_brief, 1, trust());
	assert_int_equal(ask_once("POST").requests, 1);
	assert_int_equal(ask_once("POST").requests, 2);
	assert_false(back_run_until(web.loop, never, NULL, 1500 * USEC_PER_MSEC));
	assert_int_equal(ask_once("POST").requests, 1);
}

/* ---- HTTP/2 ---- */

/* Kept as others are, one request at a time. */
static void
http2_is_spoken_where_it_can_be(void **state)
{
	enum { AT_ONCE = 16, MAX = 4 };
	struct ask a[AT_ONCE];
	unsigned most = 0;

	(void)state;
	open_pool("https", "localhost", port_tls, MAX, trust());
	for (int i = 0; i < AT_ONCE; i++) {
		web_ask(&a[i], i % 2 == 0 ? "GET" : "POST", "/");
		web_start(&a[i]);
	}
	for (int i = 0; i < AT_ONCE; i++) {
		struct said s;

		web_await(&a[i]);
		s = said_in(&a[i]);
		assert_string_equal(s.version, "HTTP/2.0");
		assert_string_equal(s.method, i % 2 == 0 ? "GET" : "POST");
		most = s.requests > most ? s.requests : most;
		ask_fini(&a[i]);
	}
	assert_true(most >= AT_ONCE / MAX);
}

/* nginx ends a connection after a hundred requests; with many under way all the time, none is lost. */
static void
requests_go_on_when_a_connection_ends(void **state)
{
	enum { AT_ONCE = 3, ROUNDS = 150 };
	struct ask a[AT_ONCE];
	unsigned ended = 0;

	(void)state;
	open_pool("https", "localhost", port_tls, AT_ONCE, trust());
	for (int round = 0; round < ROUNDS; round++) {
		for (int i = 0; i < AT_ONCE; i++) {
			web_ask(&a[i], "GET", "/");
			web_start(&a[i]);
		}
		for (int i = 0; i < AT_ONCE; i++) {
			struct said s;

			web_await(&a[i]);
			s = said_in(&a[i]);
			ended += s.requests == 100;
			ask_fini(&a[i]);
		}
	}
	assert_true(ended >= 1);
}

/* One that is given up does not take the others with it. */
static void
one_of_many_may_be_given_up(void **state)
{
	struct ask gone, stays;

	(void)state;
	open_pool("https", "localhost", port_tls, 2, trust());
	assert_int_equal(ask_once("GET").requests, 1);
	web_ask(&gone, "GET", "/big");
	web_ask(&stays, "GET", "/big");
	web_start(&gone);
	web_start(&stays);
	assert_false(back_run_until(web.loop, never, NULL, 100 * USEC_PER_MSEC));
	fiber_cancel(gone.fiber);
	assert_int_equal(web_await(&gone), WEFT_CANCELED);
	assert_int_equal(web_await(&stays), WEFT_OK);
	assert_int_equal(stays.call.http->body.len, 100000);
	ask_fini(&gone);
	ask_fini(&stays);
	assert_string_equal(ask_once("GET").version, "HTTP/2.0");
}

/* Some connections in HTTP/1.1 and some in HTTP/2: each answer goes to who has asked. */
static void
a_stream_is_apart(void **state)
{
	struct reading r;
	struct said s;

	(void)state;
	open_pool("https", "localhost", port_tls, 2, trust());
	reading_start(&r, "/big");
	r.stop_at = 1;
	assert_true(back_run_until(web.loop, reading_is_open, &r, SOON));
	s = ask_once("GET");
	for (unsigned i = 0; i < 5; i++) {
		struct said t = ask_once("GET");

		assert_int_equal(t.connection, s.connection);
		assert_string_equal(t.version, "HTTP/2.0");
	}
	reading_go_on(&r, SIZE_MAX);
	assert_true(back_run_until(web.loop, reading_is_done, &r, SOON));
	assert_int_equal(r.rc, WEFT_OK);
	assert_int_equal(r.bytes, 100000);
	reading_fini(&r);
}

/* One connection for all, and it is kept for requests of the other kind. */
static void
a_stream_finds_room_where_there_is_one_connection(void **state)
{
	struct reading r;

	(void)state;
	open_pool("https", "localhost", port_tls, 1, trust());
	ask_once("GET");
	reading_start(&r, "/big");
	assert_true(back_run_until(web.loop, reading_is_done, &r, SOON));
	assert_int_equal(r.bytes, 100000);
	reading_fini(&r);
	ask_once("GET");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WEB_TEST(a_kept_connection_serves_many),
		WEB_TEST(certificates_are_checked),
		WEB_TEST(b61_other_trust_is_another_connection),
		WEB_TEST(a_connection_that_tls_has_closed_is_not_used),
		WEB_TEST(http2_is_spoken_where_it_can_be),
		WEB_TEST(requests_go_on_when_a_connection_ends),
		WEB_TEST(one_of_many_may_be_given_up),
		WEB_TEST(a_stream_is_apart),
		WEB_TEST(a_stream_finds_room_where_there_is_one_connection),
	};

	signal(SIGPIPE, SIG_IGN);
	log_open(2, LOG_ERROR_, "test");
	return cmocka_run_group_tests(tests, server_start, server_stop);
}
