/* Starts COUNT processes that end at once, RATE a second at even distances: sensor_load COUNT RATE.
 * Several processes start them in turn, since one waits for each exec. One that is late is started at once, so the mean
 * rate holds. Prints how many ran and the seconds until all had ended. */
#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { STARTERS = 4 };

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

/* Start each STARTERS-th process from `first` on, and wait for them; give how many could not be started. */
static int start(long first, long count, double rate, double begin)
{
	char *const words[] = { "/bin/true", NULL }, *const variables[] = { "PATH=/usr/bin:/bin", NULL };
	int failed = 0;

	signal(SIGCHLD, SIG_IGN); /* nobody needs their status: the kernel clears them away */
	for (long number = first; number < count; number += STARTERS) {
		double due = begin + number / rate;
		struct timespec until = { (time_t)due, (long)((due - (time_t)due) * 1e9) };
		pid_t child;

		while (due > now())
			clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
		failed += posix_spawn(&child, words[0], NULL, NULL, words, variables) != 0;
	}
	while (wait(NULL) > 0 || errno == EINTR)
		;
	return failed;
}

int main(int argc, char **argv)
{
	long count = argc > 2 ? atol(argv[1]) : 0;
	double rate = argc > 2 ? atof(argv[2]) : 0, begin = now();
	int status, failed = 0;

	if (count <= 0 || rate <= 0)
		return 2;
	for (int starter = 0; starter < STARTERS; starter++) {
		pid_t child = fork();

		if (child == 0)
			_exit(start(starter, count, rate, begin) != 0);
		failed += child < 0;
	}
	while (wait(&status) > 0)
		failed += status != 0;
	if (failed)
		return 1;
	printf("%ld %.6f\n", count, now() - begin);
	return 0;
}
