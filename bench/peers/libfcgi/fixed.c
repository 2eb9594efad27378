/* SPDX-License-Identifier: ISC */
/*
 * libfcgi as its programs use it for many requests at once: threads, each of which accepts on the one
 * socket and then serves its connection until that ends.  So a kept connection holds a thread, and
 * there are as many as the bench has connections.
 *
 *	fixed SOCKET
 */
#include <fcgiapp.h>
#include <pthread.h>
#include <stdio.h>

enum { FIXED_THREADS = 64, FIXED_BACKLOG = 4096 };

static void *
fixed_serve(void *arg)
{
	FCGX_Request rq;

	if (FCGX_InitRequest(&rq, *(int *)arg, 0) != 0)
		return NULL;
	while (FCGX_Accept_r(&rq) == 0) {
		FCGX_PutS("Content-Type: text/plain\r\nContent-Length: 13\r\n\r\nHello, World!", rq.out);
		FCGX_Finish_r(&rq);
	}
	return NULL;
}

int
main(int argc, char **argv)
{
	pthread_t thread;
	int listener;

	if (argc != 2) {
		fprintf(stderr, "usage: fixed SOCKET\n");
		return 2;
	}
	if (FCGX_Init() != 0 || (listener = FCGX_OpenSocket(argv[1], FIXED_BACKLOG)) < 0) {
		perror(argv[1]);
		return 1;
	}
	for (int i = 1; i < FIXED_THREADS; i++)
		if (pthread_create(&thread, NULL, fixed_serve, &listener) != 0) {
			perror("pthread_create");
			return 1;
		}
	fixed_serve(&listener);
	return 1;
}
