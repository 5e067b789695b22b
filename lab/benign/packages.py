"""Packages, builds and installers."""

from __future__ import annotations

from lab.activity import WEB, activity, script, wanted, web_server, write
from lab.namespaces import PEER_IP, Pair


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


SETUP = """import subprocess
from setuptools import setup
subprocess.check_call("uname -a", shell=True)
setup(name="labdemo", version="1", py_modules=["labdemo"])
"""


@activity("pip install of a source package over HTTP, built on the spot", "python3")
def pip_install(pair: Pair) -> None:
    peer, victim = pair.peer, pair.victim
    write(peer, "d/setup.py", SETUP, 0o644)
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


@activity("an installer that wget pipes into bash -s with arguments", "wget")
def wget_pipe_bash(pair: Pair) -> None:
    write(pair.peer, "w/setup.sh", 'set -eu\necho "channel $1"\nuname -m\nls / | head -1\n', 0o644)
    web_server(pair.peer, pair.peer.home / "w")
    wanted(script(pair.victim, f"wget -qO- http://{PEER_IP}:{WEB}/setup.sh | bash -s -- stable"), "channel stable")


GEMSPEC = """Gem::Specification.new do |s|
  s.name, s.version, s.summary, s.authors = "labdemo", "1.0.0", "lab", ["lab"]
  s.files, s.extensions = ["extconf.rb"], ["extconf.rb"]
end
"""


@activity("gem install of a package with an extension, fetched over HTTP", "gem", "curl")
def gem_install(pair: Pair) -> None:
    write(pair.peer, "labdemo.gemspec", GEMSPEC, 0o644)
    write(
        pair.peer,
        "extconf.rb",
        'system("uname -a; id -u")\nFile.write("Makefile", "all clean install:\\n\\ttrue\\n")\n',
    )
    script(pair.peer, "gem build -q labdemo.gemspec")
    web_server(pair.peer, pair.peer.home)
    fetch = f"curl -fsSO http://{PEER_IP}:{WEB}/labdemo-1.0.0.gem"
    wanted(script(pair.victim, f"{fetch} && gem install --local --no-document -i g labdemo-1.0.0.gem", 90.0), "1 gem")


CONFIGURE = """#!/bin/sh
set -e
for tool in cc make sed awk; do printf 'checking for %s... ' $tool; command -v $tool; done
echo 'int main(void) { return 0; }' > conftest.c
cc -o conftest conftest.c && ./conftest
(uname -a; id -u; hostname) > config.log 2>&1
sed -e "s/@CC@/cc/" Makefile.in > Makefile
"""


@activity("configure, make, make check and make install of a C program", "make", "gcc", "awk")
def configure_make_install(pair: Pair) -> None:
    victim = pair.victim
    write(victim, "configure", CONFIGURE)
    write(victim, "main.c", '#include <stdio.h>\nint main(void) { puts("lab"); return 0; }\n', 0o644)
    rules = (
        'all: main\nmain: main.c\n\t@CC@ -O1 -o $@ $<\ncheck: main\n\t./main | (read word; sh -c "test $$word = lab")\n'
    )
    write(victim, "Makefile.in", rules + "install: main\n\tinstall -m 755 main /usr/local/bin/lab-main\n", 0o644)
    script(victim, "./configure && make && make check && make install", 60.0)
    wanted(script(victim, "/usr/local/bin/lab-main"), "lab")
