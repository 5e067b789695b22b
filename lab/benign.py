"""Ordinary work that must not alert: what servers and their administrators do all day, run for real.

An activity is a function of the pair of machines. It starts servers, uses them, and raises LabError when something
does not work, so that "no alert" never means that nothing happened. `needs` are programs it cannot do without.
"""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lab.errors import LabError
from lab.namespaces import PATH, PEER_IP, VICTIM_IP, Machine, Pair, Program
from lab.outcome import Outcome

WEB = 8080
POSTGRES = "/usr/lib/postgresql"
NOBODY = 65534


@dataclass(frozen=True, slots=True)
class Activity:
    name: str
    what: str
    run: Callable[[Pair], None]
    needs: tuple[str, ...] = ()
    expected: str = ""

    def missing(self) -> str:
        """Name the first program that is not there; empty when nothing is missing."""
        return next((name for name in self.needs if shutil.which(name, path=PATH) is None), "")


ACTIVITIES: list[Activity] = []


def activity(what: str, *needs: str) -> Callable[[Callable[[Pair], None]], Callable[[Pair], None]]:
    """Put a function on the list under its own name."""

    def register(run: Callable[[Pair], None]) -> Callable[[Pair], None]:
        ACTIVITIES.append(Activity(run.__name__, what, run, needs))
        return run

    return register


def perform(pair: Pair, what: Activity, kind: str = "benign") -> Outcome:
    """Do one activity; the outcome tells whether it worked."""
    outcome = Outcome(what.name, "related" if kind == "related" else "benign", what.what, expected=what.expected)
    missing = what.missing()
    if missing:
        outcome.trouble = f"{missing} is not there"
        return outcome
    outcome.started = time.time()
    try:
        what.run(pair)
        outcome.worked = True
    except (LabError, OSError) as error:
        outcome.worked, outcome.trouble = False, str(error)
    outcome.roots = (*pair.victim.host_pids, *pair.peer.host_pids)
    outcome.ended = time.time()
    return outcome


def script(machine: Machine, text: str, seconds: float = 30.0, shell: str = "/bin/bash") -> str:
    """Run a script on a machine (`sh -c`), to its end."""
    return machine.run(shell, "-c", text, seconds=seconds)


def write(machine: Machine, name: str, text: str, mode: int = 0o755) -> Path:
    """Put a file into a machine's home."""
    path = machine.home / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    path.chmod(mode)
    return path


def wanted(text: str, part: str) -> None:
    """Make sure that the work was done: `part` must be in what was printed."""
    if part not in text:
        raise LabError(f"{part!r} is not in the output: {text[-300:]!r}")


def web_server(machine: Machine, folder: Path, *options: str, ip: str = PEER_IP) -> Program:
    command = ["/usr/bin/python3", "-m", "http.server", str(WEB), "--bind", ip, "-d", str(folder), *options]
    program = machine.spawn(*command)
    machine.wait_for_port(WEB)
    return program


# --- packages, builds ------------------------------------------------------------------------------------------------


@activity(
    "apt-get update and install from a repository over HTTP, with maintainer scripts", "apt-get", "dpkg-scanpackages"
)
def apt_install(pair: Pair) -> None:
    peer, victim = pair.peer, pair.victim
    write(peer, "p/DEBIAN/control", CONTROL, 0o644)
    write(peer, "p/DEBIAN/postinst", "#!/bin/sh\nset -e\nid -u >/dev/null\nldconfig\nuname -a > /var/lab-demo\n")
    write(peer, "p/usr/bin/lab-demo", "#!/bin/sh\necho lab\n")
    (peer.home / "r").mkdir()
    script(peer, "dpkg-deb --root-owner-group -b p r/lab-demo_1_all.deb && cd r && dpkg-scanpackages . > Packages")
    web_server(peer, peer.home / "r")
    script(victim, f"echo 'deb [trusted=yes] http://{PEER_IP}:{WEB}/ ./' > /etc/apt/sources.list")
    script(victim, "apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -q -y lab-demo", 90.0)
    wanted(script(victim, "lab-demo"), "lab")
    script(victim, "apt-get remove -q -y lab-demo", 60.0)


CONTROL = """Package: lab-demo
Version: 1
Architecture: all
Maintainer: lab <lab@localhost>
Description: a package for the lab
"""


@activity("pip install of a source package over HTTP, built on the spot", "python3")
def pip_install(pair: Pair) -> None:
    peer, victim = pair.peer, pair.victim
    write(
        peer,
        "d/setup.py",
        "from setuptools import setup\nimport subprocess\nsubprocess.check_call('uname -a', shell=True)\nsetup(name='labdemo', version='1', py_modules=['labdemo'])\n",
        0o644,
    )
    write(peer, "d/labdemo.py", "print('lab')\n", 0o644)
    script(peer, "cd d && tar czf ../labdemo-1.tar.gz --transform 's,^,labdemo-1/,' setup.py labdemo.py")
    web_server(peer, peer.home)
    url = f"http://{PEER_IP}:{WEB}/labdemo-1.tar.gz"
    options = "--no-index --no-deps --no-build-isolation --disable-pip-version-check --root-user-action=ignore"
    script(victim, f"/usr/bin/python3 -W ignore -m pip install -q {options} --target t {url} && ls t/labdemo.py", 90.0)


@activity("npm install over HTTP with an install script", "npm", "node")
def npm_install(pair: Pair) -> None:
    peer, victim = pair.peer, pair.victim
    text = '{"name": "labdemo", "version": "1.0.0", "scripts": {"install": "uname -a && id -u && node -e 0"}}\n'
    write(peer, "package/package.json", text, 0o644)
    script(peer, "tar czf labdemo.tgz package")
    web_server(peer, peer.home)
    write(victim, "package.json", '{"name": "x", "version": "1.0.0"}\n', 0o644)
    script(victim, f"npm install --foreground-scripts --no-audit --no-fund http://{PEER_IP}:{WEB}/labdemo.tgz", 90.0)


@activity("make builds and tests a C program", "make", "gcc")
def make_build(pair: Pair) -> None:
    victim = pair.victim
    write(victim, "main.c", '#include <stdio.h>\nint main(void) { puts("lab"); return 0; }\n', 0o644)
    rules = "all: main\n\t./main | grep -q lab && (id -u; uname -a) > log\nmain: main.c\n\tgcc -O1 -o $@ $<\n"
    write(victim, "Makefile", rules, 0o644)
    script(victim, "make -j2", 60.0)


@activity("an installer that is piped from curl into a shell", "curl")
def curl_pipe_shell(pair: Pair) -> None:
    write(pair.peer, "w/install.sh", 'set -e\nid -u\nuname -a\nmkdir -p "$HOME/opt"\necho installed\n', 0o644)
    web_server(pair.peer, pair.peer.home / "w")
    wanted(script(pair.victim, f"curl -fsS http://{PEER_IP}:{WEB}/install.sh | sh | tee log"), "installed")


# --- ssh -------------------------------------------------------------------------------------------------------------

SSHD = 2222


def ssh_server(pair: Pair) -> str:
    """Start sshd on the peer with keys of its own; give the client's options."""
    peer, victim = pair.peer, pair.victim
    script(victim, "ssh-keygen -q -t ed25519 -N '' -f k")
    write(peer, "authorized", (victim.home / "k.pub").read_text("ascii"), 0o600)
    script(peer, "ssh-keygen -q -t ed25519 -N '' -f host")
    lines = [f"Port {SSHD}", f"ListenAddress {PEER_IP}", f"HostKey {peer.home}/host", "PermitRootLogin yes"]
    lines += [f"AuthorizedKeysFile {peer.home}/authorized", "StrictModes no", "UsePAM yes", f"PidFile {peer.home}/pid"]
    write(peer, "sshd.conf", "\n".join(lines) + "\n", 0o600)
    peer.spawn("/usr/sbin/sshd", "-D", "-e", "-f", f"{peer.home}/sshd.conf")
    peer.wait_for_port(SSHD)
    return f"-i {victim.home}/k -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -p {SSHD}"


@activity("a command over ssh", "ssh", "sshd")
def ssh_command(pair: Pair) -> None:
    options = ssh_server(pair)
    wanted(script(pair.victim, f"ssh {options} root@{PEER_IP} 'id; uname -a | cat'"), "uid=0")


@activity("an interactive login over ssh, with commands typed", "ssh", "sshd")
def ssh_login_shell(pair: Pair) -> None:
    options = ssh_server(pair)
    typed = (
        "(sleep 1; echo id; sleep 0.5; echo 'ls / | head -2'; sleep 0.3; echo bash; sleep 0.5; echo exit; echo exit)"
    )
    wanted(script(pair.victim, f"{typed} | ssh -tt {options} root@{PEER_IP}"), "uid=0")


@activity("ssh through netcat as ProxyCommand", "ssh", "sshd", "nc.openbsd")
def ssh_proxycommand_nc(pair: Pair) -> None:
    options = ssh_server(pair)
    proxy = f"-o ProxyCommand='nc.openbsd {PEER_IP} {SSHD}'"
    wanted(script(pair.victim, f"ssh {options} {proxy} root@{PEER_IP} id"), "uid=0")


@activity("ssh through /dev/tcp of bash as ProxyCommand", "ssh", "sshd")
def ssh_proxycommand_bash(pair: Pair) -> None:
    options = ssh_server(pair)
    proxy = f"-o ProxyCommand=\"bash -c 'exec 3<>/dev/tcp/{PEER_IP}/{SSHD}; cat <&3 & cat >&3'\""
    wanted(script(pair.victim, f"ssh {options} {proxy} root@{PEER_IP} id"), "uid=0")


@activity("a login shell over ssh whose connection also forwards a port that is used", "ssh", "sshd", "curl")
def ssh_port_forward(pair: Pair) -> None:
    options = ssh_server(pair)
    web_server(pair.victim, pair.victim.home, ip=VICTIM_IP)
    forward = f"-L 9090:{VICTIM_IP}:{WEB}"
    text = f"(sleep 2.5; echo exit) | ssh -tt {options} {forward} root@{PEER_IP} & sleep 1.2; curl -fsS http://127.0.0.1:9090/ >/dev/null && echo fetched; wait"
    wanted(script(pair.victim, text), "fetched")


@activity("rsync and scp over ssh", "rsync", "ssh", "sshd", "scp")
def rsync_over_ssh(pair: Pair) -> None:
    options = ssh_server(pair)
    write(pair.victim, "data/a", "lab\n", 0o644)
    script(pair.victim, f"rsync -a -e 'ssh {options}' data/ root@{PEER_IP}:{pair.peer.home}/copy/")
    script(pair.victim, f"scp -O -q {options.replace('-p ', '-P ')} data/a root@{PEER_IP}:{pair.peer.home}/copy/b")
    if not (pair.peer.home / "copy" / "b").exists():
        raise LabError("the file did not arrive")


# --- git -------------------------------------------------------------------------------------------------------------

GIT_NEW = "git init -q -b main r && cd r && git -c user.name=l -c user.email=l@l commit -q --allow-empty -m lab"


@activity("git clone and pull from a git daemon", "git")
def git_daemon_clone(pair: Pair) -> None:
    peer = pair.peer
    script(peer, GIT_NEW)
    peer.spawn("git", "daemon", "--reuseaddr", "--export-all", f"--listen={PEER_IP}", f"--base-path={peer.home}")
    peer.wait_for_port(9418)
    wanted(script(pair.victim, f"git clone -q git://{PEER_IP}/r c && cd c && git pull -q && git log --oneline"), "lab")


@activity("git push over ssh to a repository with a hook in shell", "git", "ssh", "sshd")
def git_push_hook(pair: Pair) -> None:
    options, peer = ssh_server(pair), pair.peer
    script(peer, "git init -q --bare b.git")
    write(peer, "b.git/hooks/post-receive", "#!/bin/sh\nwhile read line; do id -u; uname -a; done > hook.log\n")
    url = f"ssh://root@{PEER_IP}{peer.home}/b.git"
    script(pair.victim, f"export GIT_SSH_COMMAND='ssh {options}'; {GIT_NEW} && git push -q {url} main")
    if not (peer.home / "b.git" / "hook.log").exists():
        raise LabError("the hook did not run")


# --- servers that start children -------------------------------------------------------------------------------------

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


# --- scheduled work, waiting, backups --------------------------------------------------------------------------------


@activity("cron runs a job that sends a report", "cron", "curl")
def cron_job(pair: Pair) -> None:
    web_server(pair.peer, pair.peer.home)
    job = write(
        pair.victim,
        "report.sh",
        f"#!/bin/bash\n(id; df -h; ls /) | gzip > {pair.victim.home}/r.gz\ncurl -fsS http://{PEER_IP}:{WEB}/ > /dev/null && echo done > {pair.victim.home}/done\n",
    )
    # written by the lab itself, from outside the machine: a job that somebody makes is found, and rightly so
    pair.victim.layer_file(
        "/etc/crontab",
        f"SHELL=/bin/bash\n@reboot root {job}\n@reboot root cd / && run-parts --report /etc/cron.daily\n",
    )
    pair.victim.spawn("/usr/sbin/cron", "-f")
    deadline = time.monotonic() + 20
    while not (pair.victim.home / "done").exists():
        if time.monotonic() > deadline:
            raise LabError("the job did not run")
        time.sleep(0.1)


@activity("a script that waits for a port through /dev/tcp in subshells, then runs a login shell with -c")
def waitforit_subshell(pair: Pair) -> None:
    web_server(pair.peer, pair.peer.home)
    text = f"for i in 1 2; do (echo -n > /dev/tcp/{PEER_IP}/{WEB}) >/dev/null 2>&1; done; exec bash -l -c 'ls / >/dev/null; date'"
    script(pair.victim, text)


@activity("a readiness probe through /dev/tcp in a login shell of a CI job")
def bash_l_ci_script_probe(pair: Pair) -> None:
    web_server(pair.peer, pair.peer.home)
    pair.victim.run("/bin/bash", "-l", "-c", f": > /dev/tcp/{PEER_IP}/{WEB}; ls / >/dev/null; date")


@activity("a start script that waits for a port and then starts the service in its own place")
def entrypoint_exec(pair: Pair) -> None:
    web_server(pair.peer, pair.peer.home)
    text = f'#!/bin/bash\nset -e\nuntil exec 3<>/dev/tcp/{PEER_IP}/{WEB}; do sleep 0.1; done\nexec 3>&-\nexec "$@"\n'
    entry = write(pair.victim, "entry.sh", text)
    service = write(pair.victim, "service.sh", "#!/bin/sh\nid\nuname -a\n")
    wanted(pair.victim.run(str(entry), str(service)), "uid=")


@activity("a backup with tar through netcat, and a port check with nc -z in a pipeline", "nc.openbsd", "tar")
def nc_backup(pair: Pair) -> None:
    pair.peer.spawn("/bin/sh", "-c", "nc.openbsd -l 9999 | tar x")
    pair.peer.wait_for_port(9999)
    write(pair.victim, "data/a", "lab\n", 0o644)
    script(pair.victim, f"tar c data | nc.openbsd -N {PEER_IP} 9999; nc.openbsd -z {PEER_IP} 9999 | cat; true")
    time.sleep(0.2)
    if not (pair.peer.home / "data" / "a").exists():
        raise LabError("the backup did not arrive")


@activity("a certificate is looked at with openssl s_client in a script", "openssl")
def openssl_check(pair: Pair) -> None:
    make = "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=l -keyout k.pem -out c.pem"
    script(pair.peer, make)
    pair.peer.spawn("openssl", "s_server", "-quiet", "-accept", "8443", "-key", "k.pem", "-cert", "c.pem", "-www")
    pair.peer.wait_for_port(8443)
    text = f"echo | openssl s_client -connect {PEER_IP}:8443 2>/dev/null | openssl x509 -noout -subject | sh -c 'cat'"
    wanted(script(pair.victim, text), "CN")


# --- databases -------------------------------------------------------------------------------------------------------


@activity("psql against a PostgreSQL server, with \\! and \\copy", "psql")
def psql_client(pair: Pair) -> None:
    found = sorted(Path(POSTGRES).glob("*/bin/initdb"))
    if not found:
        raise LabError("no PostgreSQL server is installed")
    peer, programs = pair.peer, found[-1].parent
    data = peer.home / "pg"
    data.mkdir()
    shutil.chown(data, NOBODY, NOBODY)
    for folder in (peer.home, peer.home.parent):
        folder.chmod(0o755)
    peer.run(str(programs / "initdb"), "-A", "trust", "-U", "lab", "-D", str(data), seconds=60.0, uid=NOBODY)
    with (data / "pg_hba.conf").open("a") as rules:
        rules.write(f"host all all {VICTIM_IP}/32 trust\n")
    options = ["-D", str(data), "-h", PEER_IP, "-k", str(data), "-p", "5433"]
    peer.spawn(str(programs / "postgres"), *options, uid=NOBODY)
    peer.wait_for_port(5433)
    time.sleep(0.5)
    client = sorted(Path(POSTGRES).glob("*/bin/psql"))[-1]
    sql = "select 'id=' || 7;\n\\! uname -a\n\\copy (select 1) to program 'cat > out.txt'\n"
    write(pair.victim, "q.sql", sql, 0o644)
    wanted(script(pair.victim, f"{client} -h {PEER_IP} -p 5433 -U lab -d postgres -f q.sql"), "id=7")


@activity("redis-cli against a Redis server", "redis-server", "redis-cli")
def redis_client(pair: Pair) -> None:
    pair.peer.spawn("redis-server", "--port", "6380", "--bind", PEER_IP, "--save", "", "--protected-mode", "no")
    pair.peer.wait_for_port(6380)
    wanted(
        script(pair.victim, f"redis-cli -h {PEER_IP} -p 6380 set a lab; redis-cli -h {PEER_IP} -p 6380 get a"), "lab"
    )


@activity("sqlite3 with a shell command inside", "sqlite3")
def sqlite_shell(pair: Pair) -> None:
    wanted(script(pair.victim, "printf 'create table t(a);\\n.shell uname -a\\nselect 7;\\n' | sqlite3 x.db"), "Linux")


# --- people ----------------------------------------------------------------------------------------------------------


@activity("su and an interactive shell on a terminal, which looks up a host and fetches a page", "script", "curl")
def terminal_session(pair: Pair) -> None:
    web_server(pair.peer, pair.peer.home)
    lines = f"su - root -c id; bash -i -c id; curl -fsS http://{PEER_IP}:{WEB}/ > /dev/null; bash; id; exit; exit"
    typed = "; ".join(f"echo '{line.strip()}'; sleep 0.3" for line in lines.split(";"))
    text = script(pair.victim, f"(sleep 0.5; {typed}) | script -qec 'bash -i' /dev/null")
    if not re.search(r"uid=0", text):
        raise LabError(f"the session did not run: {text[-300:]!r}")
