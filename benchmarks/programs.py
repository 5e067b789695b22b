"""What runs on a Linux fleet: programs with their arguments, paths and users, each with a weight.

The weights follow what process telemetry looks like: a dozen of names make up most of the events, and a long tail is
rare. Arguments are templates; `{placeholders}` are filled by `values.Values`.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Program:
    """A program: `files` and `connections` are the expected numbers of such events in one run of it."""

    name: str
    executable: str
    args: tuple[tuple[str, ...], ...]
    weight: float
    files: float = 0.0
    connections: float = 0.0
    spawns: bool = False


def _program(
    name: str,
    folder: str,
    weight: float,
    *args: str,
    files: float = 0.0,
    connections: float = 0.0,
    spawns: bool = False,
) -> Program:
    templates = tuple(tuple([name, *text.split("␣")] if text else [name]) for text in args)
    return Program(name, f"{folder}/{name}", templates, weight, files, connections, spawns)


#: `␣` stands between arguments, so that an argument may hold blanks.
PROGRAMS: tuple[Program, ...] = (
    _program(
        "sh",
        "/usr/bin",
        18,
        "-c␣{script} > /dev/null 2>&1",
        "-c␣test -e {path} && cat {path}",
        "-e␣-c␣{tool} {path}",
        "{script}",
        spawns=True,
    ),
    _program(
        "bash",
        "/usr/bin",
        14,
        "-c␣{script} --once",
        "{script}",
        "-e␣{script}␣{word}",
        "-c␣for f in {path}; do echo $f; done",
        "--norc␣{script}",
        spawns=True,
    ),
    _program("cat", "/usr/bin", 9, "{proc}", "{path}", "{config}"),
    _program("grep", "/usr/bin", 9, "-q␣{word}␣{path}", "-E␣^{word}:␣{config}", "-c␣{word}", "-rn␣{word}␣{folder}"),
    _program("sed", "/usr/bin", 7, "-e␣s/{word}/{word}/", "-n␣{n}p␣{path}", "-i␣s,{word},{word},g␣{path}", files=0.4),
    _program("awk", "/usr/bin", 6, "{{print $1}}", "-F:␣{{print $2}}␣{path}"),
    _program("date", "/usr/bin", 5, "+%s", "+%Y-%m-%dT%H:%M:%S", "-u␣+%s"),
    _program("sleep", "/usr/bin", 5, "{n}", "1", "5"),
    _program("rm", "/usr/bin", 4, "-f␣{temporary}", "-rf␣{temporary}", files=1.0),
    _program("ls", "/usr/bin", 3, "-1␣{folder}", "-la␣{folder}", "{folder}"),
    _program("cut", "/usr/bin", 3, "-d:␣-f1", "-c␣1-{n}"),
    _program("head", "/usr/bin", 2, "-n␣{n}␣{path}", "-1"),
    _program("tr", "/usr/bin", 2, "-d␣[:space:]", "a-z␣A-Z"),
    _program("mkdir", "/usr/bin", 2, "-p␣{folder}/{hex}", files=0.3),
    _program("cp", "/usr/bin", 2, "-a␣{path}␣{temporary}", files=1.2),
    _program("mv", "/usr/bin", 2, "{temporary}␣{path}", files=1.4),
    _program("find", "/usr/bin", 2, "{folder}␣-name␣*.{extension}␣-mtime␣+{n}", "{folder}␣-type␣f"),
    _program(
        "python3",
        "/usr/bin",
        6,
        "{script}",
        "-m␣{word}␣--config␣{config}",
        "-c␣import {word}",
        files=1.5,
        connections=0.8,
        spawns=True,
    ),
    _program(
        "java",
        "/usr/lib/jvm/java-17-openjdk-amd64/bin",
        1,
        "-Xmx{n}g␣-jar␣/opt/{word}/{word}.jar␣--port={port}",
        files=4,
        connections=6,
    ),
    _program("node", "/usr/bin", 2, "/srv/{word}/server.js␣--port␣{port}", "{script}", files=1, connections=1.5),
    _program(
        "git",
        "/usr/bin",
        4,
        "rev-parse␣HEAD",
        "status␣--porcelain",
        "fetch␣origin␣{word}",
        "log␣-1␣--format=%H",
        files=1.0,
        connections=0.3,
    ),
    _program("make", "/usr/bin", 1.5, "-j{n}␣{word}", "-C␣{folder}", files=0.5, spawns=True),
    _program("cc1", "/usr/lib/gcc/x86_64-linux-gnu/13", 3, "-quiet␣{source}␣-o␣{temporary}.s", files=1),
    _program("as", "/usr/bin", 2, "--64␣-o␣{object}␣{temporary}.s", files=1),
    _program("gcc", "/usr/bin", 3, "-O2␣-c␣{source}␣-o␣{object}", files=0.5, spawns=True),
    _program("ld", "/usr/bin", 1, "-o␣{object}␣{object}␣{object}", files=1),
    _program("curl", "/usr/bin", 2, "-fsS␣{url}", "-s␣-o␣{temporary}␣{url}", "-sI␣{url}", files=0.4, connections=1),
    _program(
        "runc", "/usr/bin", 2.5, "--root␣/run/containerd/runc/k8s.io␣--log␣/run/{hex}/log.json␣state␣{hex}", files=0.3
    ),
    _program(
        "containerd-shim-runc-v2",
        "/usr/bin",
        1.2,
        "-namespace␣k8s.io␣-id␣{hex}␣-address␣/run/containerd/containerd.sock",
        spawns=True,
    ),
    _program("iptables", "/usr/sbin", 1, "-w␣-C␣{word}␣-j␣ACCEPT", "-w␣5␣-t␣nat␣-S␣{word}"),
    _program("ip", "/usr/sbin", 0.8, "-o␣addr␣show", "route␣get␣{ip}"),
    _program("systemctl", "/usr/bin", 0.8, "is-active␣{word}.service", "show␣{word}.service"),
    _program("logrotate", "/usr/sbin", 0.2, "/etc/logrotate.conf", files=6),
    _program("dpkg-query", "/usr/bin", 0.6, "-W␣-f=${{Status}}␣{word}"),
    _program("apt-get", "/usr/bin", 0.2, "-qq␣update", files=8, connections=2, spawns=True),
    _program("ssh", "/usr/bin", 0.5, "-o␣BatchMode=yes␣{user}@{ip}␣{tool}", connections=1),
    _program("rsync", "/usr/bin", 0.4, "-az␣{folder}/␣{user}@{ip}:{folder}/", files=5, connections=1),
    _program("psql", "/usr/lib/postgresql/16/bin", 0.5, "-h␣{ip}␣-c␣select {n}", connections=1),
    _program("tar", "/usr/bin", 0.6, "-xzf␣{temporary}.tar.gz␣-C␣{folder}", files=6),
    _program("gzip", "/usr/bin", 0.6, "-9␣{path}", files=2),
    _program("sshd", "/usr/sbin", 0.7, "-D␣-R", connections=0.6, spawns=True),
    _program("sudo", "/usr/bin", 0.5, "-n␣{tool}␣{path}", "-u␣{user}␣{script}", spawns=True),
    _program("unix_chkpwd", "/usr/sbin", 0.3, "{user}␣chkexpiry"),
    _program("run-parts", "/usr/bin", 0.3, "--report␣/etc/cron.hourly", spawns=True),
    _program("node_exporter", "/usr/local/bin", 0.3, "--web.listen-address=:{port}", files=0.5, connections=2),
    _program("kubelet", "/usr/bin", 0.3, "--config=/var/lib/kubelet/config.yaml", files=3, connections=3),
    _program("php-fpm8.2", "/usr/sbin", 0.4, "--nodaemonize", files=2, connections=2),
    _program("dnf", "/usr/bin", 0.1, "-q␣check-update", files=5, connections=3),
    _program("chmod", "/usr/bin", 0.5, "0644␣{path}", "+x␣{temporary}"),
    _program("chown", "/usr/bin", 0.3, "{user}:{user}␣{path}"),
    _program("uname", "/usr/bin", 0.6, "-r", "-a", "-m"),
    _program("id", "/usr/bin", 0.6, "-u", "-un"),
    _program("hostname", "/usr/bin", 0.4, "", "-f"),
    _program("ps", "/usr/bin", 0.5, "aux", "-eo␣pid,comm"),
    _program("wc", "/usr/bin", 0.8, "-l␣{path}", "-c"),
    _program("sort", "/usr/bin", 0.8, "-u", "-k{n}␣{path}"),
    _program("xargs", "/usr/bin", 0.6, "-r␣rm␣-f", "-n1␣{tool}", spawns=True),
    _program("tee", "/usr/bin", 0.4, "-a␣{path}", files=0.6),
    _program("openssl", "/usr/bin", 0.2, "x509␣-noout␣-enddate␣-in␣{config}"),
    _program("mysqldump", "/usr/bin", 0.1, "--single-transaction␣{word}", connections=1, files=1),
)


@dataclass(frozen=True, slots=True)
class Role:
    """What a host is for; `daemons` live from the start and are the first parents of everything."""

    name: str
    daemons: tuple[tuple[str, str], ...]
    favourites: frozenset[str] = field(default_factory=frozenset)


_BASE = (
    ("systemd", "/usr/lib/systemd/systemd"),
    ("sshd", "/usr/sbin/sshd"),
    ("cron", "/usr/sbin/cron"),
    ("rsyslogd", "/usr/sbin/rsyslogd"),
)

ROLES: tuple[Role, ...] = (
    Role(
        "web", (*_BASE, ("nginx", "/usr/sbin/nginx"), ("php-fpm8.2", "/usr/sbin/php-fpm8.2")), frozenset({"php-fpm8.2"})
    ),
    Role(
        "build",
        (*_BASE, ("java", "/usr/lib/jvm/java-17-openjdk-amd64/bin/java")),
        frozenset({"gcc", "cc1", "as", "git"}),
    ),
    Role("db", (*_BASE, ("postgres", "/usr/lib/postgresql/16/bin/postgres")), frozenset({"psql", "gzip"})),
    Role(
        "node",
        (*_BASE, ("containerd", "/usr/bin/containerd"), ("kubelet", "/usr/bin/kubelet")),
        frozenset({"runc", "iptables", "containerd-shim-runc-v2"}),
    ),
    Role("bastion", _BASE, frozenset({"sshd", "sudo", "ssh"})),
)
