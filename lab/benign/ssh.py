"""Everything over ssh, and git."""

from __future__ import annotations

from lab.activity import WEB, activity, script, wanted, web_server, write
from lab.errors import LabError
from lab.namespaces import PEER_IP, VICTIM_IP, Pair

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
    typed = "sleep 1; echo id; sleep 0.5; echo 'ls / | head -2'; sleep 0.3; echo bash; sleep 0.5; echo exit; echo exit"
    wanted(script(pair.victim, f"({typed}) | ssh -tt {options} root@{PEER_IP}"), "uid=0")


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
    use = "sleep 1.2; curl -fsS http://127.0.0.1:9090/ >/dev/null && echo fetched; wait"
    text = f"(sleep 2.5; echo exit) | ssh -tt {options} {forward} root@{PEER_IP} & {use}"
    wanted(script(pair.victim, text), "fetched")


@activity("rsync and scp over ssh", "rsync", "ssh", "sshd", "scp")
def rsync_over_ssh(pair: Pair) -> None:
    options = ssh_server(pair)
    write(pair.victim, "data/a", "lab\n", 0o644)
    script(pair.victim, f"rsync -a -e 'ssh {options}' data/ root@{PEER_IP}:{pair.peer.home}/copy/")
    script(pair.victim, f"scp -O -q {options.replace('-p ', '-P ')} data/a root@{PEER_IP}:{pair.peer.home}/copy/b")
    if not (pair.peer.home / "copy" / "b").exists():
        raise LabError("the file did not arrive")


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


@activity("a program that is sent to python3 over ssh, as tools for many hosts do", "ssh", "sshd")
def ssh_remote_python(pair: Pair) -> None:
    options = ssh_server(pair)
    write(pair.victim, "facts.py", "import subprocess\nprint(subprocess.run('id; uname -a', shell=True, check=True))\n")
    text = f"ssh {options} root@{PEER_IP} '/bin/sh -c \"/usr/bin/python3 - && sleep 0\"' < facts.py"
    wanted(script(pair.victim, text), "uid=0")


@activity("git clone over HTTP, a build from the clone, maintenance", "git", "make")
def git_http_clone(pair: Pair) -> None:
    make = "printf 'all:\\n\\tgit log --oneline | head -1; uname -a\\n' > r/Makefile"
    commit = "git add . && git -c user.name=l -c user.email=l@l commit -qm lab && git update-server-info"
    script(pair.peer, f"git init -q -b main r && {make} && cd r && {commit}")
    web_server(pair.peer, pair.peer.home / "r")
    wanted(script(pair.victim, f"git clone -q http://{PEER_IP}:{WEB}/.git c && make -C c && git -C c gc -q"), "Linux")
