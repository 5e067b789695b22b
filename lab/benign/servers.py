"""Servers that start programs for their clients."""

from __future__ import annotations

from lab.activity import WEB, activity, script, wanted, web_server, write
from lab.namespaces import PEER_IP, VICTIM_IP, Pair

CGI = "#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\n'\nid\nuname -a\nls / | head -2\n"


@activity("CGI scripts in shell behind Python's web server (the script's stdin is the connection)", "python3", "curl")
def cgi_python(pair: Pair) -> None:
    write(pair.victim, "cgi-bin/report.sh", CGI)
    pair.victim.home.chmod(0o755)
    pair.victim.home.parent.chmod(0o755)
    web_server(pair.victim, pair.victim.home, "--cgi", ip=VICTIM_IP)
    wanted(script(pair.peer, f"curl -fsS http://{VICTIM_IP}:{WEB}/cgi-bin/report.sh"), "uid=")


@activity("CGI scripts in shell behind nginx and fcgiwrap", "nginx", "fcgiwrap", "curl")
def cgi_nginx(pair: Pair) -> None:
    victim = pair.victim
    cgi = write(victim, "report.cgi", CGI)
    config = f"""user root; pid {victim.home}/nginx.pid; error_log {victim.home}/e.log; events {{}}
http {{ access_log off; server {{ listen {VICTIM_IP}:{WEB}; location / {{
fastcgi_pass 127.0.0.1:9000; fastcgi_param SCRIPT_FILENAME {cgi}; fastcgi_param REQUEST_METHOD $request_method; }} }} }}
"""
    write(victim, "nginx.conf", config, 0o644)
    victim.spawn("/usr/sbin/fcgiwrap", "-s", "tcp:127.0.0.1:9000")
    victim.spawn("/usr/sbin/nginx", "-c", f"{victim.home}/nginx.conf", "-g", "daemon off;")
    victim.wait_for_port(9000)
    victim.wait_for_port(WEB)
    wanted(script(pair.peer, f"curl -fsS http://{VICTIM_IP}:{WEB}/"), "uid=")


@activity("CGI scripts in shell behind the web server of busybox", "busybox", "curl")
def cgi_busybox(pair: Pair) -> None:
    write(pair.victim, "cgi-bin/report", CGI)
    pair.victim.spawn("busybox", "httpd", "-f", "-p", f"{VICTIM_IP}:{WEB}", "-h", str(pair.victim.home))
    pair.victim.wait_for_port(WEB)
    wanted(script(pair.peer, f"curl -fsS http://{VICTIM_IP}:{WEB}/cgi-bin/report"), "uid=")


@activity("a PHP page that calls shell_exec", "php", "curl")
def php_shell_exec(pair: Pair) -> None:
    write(pair.victim, "index.php", "<?php echo shell_exec('id; uname -a | cat');\n", 0o644)
    pair.victim.spawn("/usr/bin/php", "-S", f"{VICTIM_IP}:{WEB}", "-t", str(pair.victim.home))
    pair.victim.wait_for_port(WEB)
    wanted(script(pair.peer, f"curl -fsS http://{VICTIM_IP}:{WEB}/"), "uid=")


NODE = """const http = require("http"), cp = require("child_process");
http.createServer((q, a) => cp.exec("id; uname -a", (e, out) => a.end(out))).listen(%d, "%s");
"""


@activity("a Node server that runs a command for each request", "node", "curl")
def node_exec_per_request(pair: Pair) -> None:
    path = write(pair.victim, "server.js", NODE % (WEB, VICTIM_IP), 0o644)
    pair.victim.spawn("/usr/bin/node", str(path))
    pair.victim.wait_for_port(WEB)
    wanted(script(pair.peer, f"curl -fsS http://{VICTIM_IP}:{WEB}/"), "uid=")


AGENT = """import subprocess, urllib.request
job = urllib.request.urlopen("http://%s:%d/job").read().decode()
print(subprocess.run(["bash", "-eo", "pipefail", "-c", job], capture_output=True, text=True).stdout)
print(subprocess.run("uname -a; date", shell=True, capture_output=True, text=True).stdout)
urllib.request.urlopen("http://%s:%d/").read()
"""


@activity("a build agent that fetches a job over HTTP, runs it and reports", "python3")
def build_agent(pair: Pair) -> None:
    write(pair.peer, "w/job", "id; for i in 1 2 3; do ls / | tail -1; done\n", 0o644)
    web_server(pair.peer, pair.peer.home / "w")
    path = write(pair.victim, "agent.py", AGENT % (PEER_IP, WEB, PEER_IP, WEB), 0o644)
    wanted(pair.victim.run("/usr/bin/python3", str(path)), "uid=")


@activity("a script in shell behind socat as a super-server", "socat", "nc.openbsd")
def socat_inetd_script(pair: Pair) -> None:
    service = write(pair.victim, "service.sh", "#!/bin/sh\nread line\ndate\nuname -a\n")
    pair.victim.spawn("socat", "TCP-LISTEN:8081,reuseaddr,fork", f"EXEC:{service}")
    pair.victim.wait_for_port(8081)
    wanted(script(pair.peer, f"echo hi | nc.openbsd -q1 {VICTIM_IP} 8081"), "Linux")


@activity("socat carries a port to another host, and a local socket to a shell command", "socat", "curl")
def socat_forward(pair: Pair) -> None:
    web_server(pair.peer, pair.peer.home)
    pair.victim.spawn("socat", "TCP-LISTEN:8082,reuseaddr,fork", f"TCP:{PEER_IP}:{WEB}")
    pair.victim.spawn("socat", f"UNIX-LISTEN:{pair.victim.home}/s,fork", "SYSTEM:uname -a")
    pair.victim.wait_for_port(8082)
    text = f"curl -fsS http://127.0.0.1:8082/ > /dev/null && echo fetched; socat -u UNIX:{pair.victim.home}/s -"
    wanted(script(pair.victim, text), "fetched")


FORKING = """import http.server, socketserver, subprocess
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        told = subprocess.run("id; df / | tail -1", shell=True, capture_output=True).stdout
        told += subprocess.run(["sh"], input=b"uname -a", capture_output=True).stdout if self.path == "/sh" else b""
        self.send_response(200); self.end_headers(); self.wfile.write(told)
class Server(socketserver.ForkingMixIn, http.server.HTTPServer):
    pass
Server(("%s", %d), Page).serve_forever()
"""


@activity("a web server with a child for each request, which runs commands through a shell", "python3", "curl")
def forking_server(pair: Pair) -> None:
    path = write(pair.victim, "server.py", FORKING % (VICTIM_IP, WEB), 0o644)
    pair.victim.spawn("/usr/bin/python3", str(path))
    pair.victim.wait_for_port(WEB)
    wanted(script(pair.peer, f"curl -fsS http://{VICTIM_IP}:{WEB}/ http://{VICTIM_IP}:{WEB}/sh"), "uid=")


@activity("a health check of Redis through netcat in a pipeline", "redis-server", "nc.openbsd")
def redis_health_netcat(pair: Pair) -> None:
    pair.peer.spawn("redis-server", "--port", "6380", "--bind", PEER_IP, "--save", "", "--protected-mode", "no")
    pair.peer.wait_for_port(6380)
    text = f"printf 'PING\\r\\n' | nc.openbsd -N {PEER_IP} 6380 | sh -c 'grep -q PONG && echo healthy'"
    wanted(script(pair.victim, text), "healthy")
