"""Scheduled work, scripts that wait or copy, databases, people at a terminal."""

from __future__ import annotations

import re
import shutil
import time
from pathlib import Path

from lab.activity import WEB, activity, script, wanted, web_server, write
from lab.errors import LabError
from lab.namespaces import PEER_IP, VICTIM_IP, Pair

POSTGRES = "/usr/lib/postgresql"
NOBODY = 65534


REPORT = """#!/bin/bash
(id; df -h; ls /) | gzip > %s/r.gz
curl -fsS http://%s:%d/ > /dev/null && echo done > %s/done
"""


@activity("cron runs a job that sends a report", "cron", "curl")
def cron_job(pair: Pair) -> None:
    web_server(pair.peer, pair.peer.home)
    job = write(pair.victim, "report.sh", REPORT % (pair.victim.home, PEER_IP, WEB, pair.victim.home))
    # written by the lab itself, from outside the machine: a job that somebody makes is found, and rightly so
    daily = "cd / && run-parts --report /etc/cron.daily"
    pair.victim.layer_file("/etc/crontab", f"SHELL=/bin/bash\n@reboot root {job}\n@reboot root {daily}\n")
    pair.victim.spawn("/usr/sbin/cron", "-f")
    deadline = time.monotonic() + 20
    while not (pair.victim.home / "done").exists():
        if time.monotonic() > deadline:
            raise LabError("the job did not run")
        time.sleep(0.1)


@activity("a script that waits for a port through /dev/tcp in subshells, then runs a login shell with -c")
def waitforit_subshell(pair: Pair) -> None:
    web_server(pair.peer, pair.peer.home)
    wait = f"for i in 1 2; do (echo -n > /dev/tcp/{PEER_IP}/{WEB}) >/dev/null 2>&1; done"
    script(pair.victim, f"{wait}; exec bash -l -c 'ls / >/dev/null; date'")


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


@activity("psql against a PostgreSQL server, with \\!, \\copy and copy to program", "psql")
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
    sql += "copy (select 1) to program 'id; cat > /dev/null';\n"  # the server runs this one
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


@activity("su and an interactive shell on a terminal, which looks up a host and fetches a page", "script", "curl")
def terminal_session(pair: Pair) -> None:
    web_server(pair.peer, pair.peer.home)
    lines = f"su - root -c id; bash -i -c id; curl -fsS http://{PEER_IP}:{WEB}/ > /dev/null; bash; id; exit; exit"
    typed = "; ".join(f"echo '{line.strip()}'; sleep 0.3" for line in lines.split(";"))
    text = script(pair.victim, f"(sleep 0.5; {typed}) | script -qec 'bash -i' /dev/null")
    if not re.search(r"uid=0", text):
        raise LabError(f"the session did not run: {text[-300:]!r}")


PARALLEL = """set -eu
mkfifo slots
exec 9<>slots
for slot in 1 2 3; do echo >&9; done
for job in 1 2 3 4 5 6; do
  read -r _ <&9
  (sh ./job.sh $job; echo >&9) &
done
wait
curl -fsS http://%s:%d/ > /dev/null
cat results
"""


@activity("a script that runs jobs in parallel, held back by a named pipe, and fetches a page", "curl")
def parallel_jobs_named_pipe(pair: Pair) -> None:
    web_server(pair.peer, pair.peer.home)
    write(pair.victim, "job.sh", "id -u; sleep 0.1; echo job $1 >> results\n")
    write(pair.victim, "all.sh", PARALLEL % (PEER_IP, WEB))
    wanted(pair.victim.run("/bin/bash", "all.sh"), "job 6")


@activity("a script that sends figures through /dev/tcp", "nc.openbsd")
def metrics_through_dev_tcp(pair: Pair) -> None:
    pair.peer.spawn("/bin/sh", "-c", "nc.openbsd -l 2003 > figures")
    pair.peer.wait_for_port(2003)
    send = 'read -r load _ </proc/loadavg; echo "host.load $load" >&3; df / | tail -1; uptime'
    script(pair.victim, f"exec 3>/dev/tcp/{PEER_IP}/2003; {send}")
    time.sleep(0.3)
    wanted((pair.peer.home / "figures").read_text("utf-8"), "host.load")


@activity("a shell in tmux, in which commands are typed that use the network", "tmux", "curl")
def tmux_session(pair: Pair) -> None:
    web_server(pair.peer, pair.peer.home)
    typed = f"id > who; curl -fsS http://{PEER_IP}:{WEB}/ > page; bash -c 'uname -a' > name"
    script(pair.victim, f'tmux -L lab new-session -d bash; sleep 0.5; tmux -L lab send-keys "{typed}" Enter; sleep 1.5')
    wanted(script(pair.victim, "cat who name; tmux -L lab kill-server"), "Linux")
