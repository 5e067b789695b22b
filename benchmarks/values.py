"""Values as real hosts have them: few names, many paths, long tails. Everything comes from one seeded generator."""

from __future__ import annotations

import random
from bisect import bisect
from collections.abc import Callable, Sequence
from itertools import accumulate

_WORDS = (
    "app api auth backup batch billing cache cart catalog check client cluster common config core cron daemon data db "
    "default deploy docs edge etl events export feed files frontend gateway health index ingest inventory jobs ledger "
    "lib log login mail main metrics migrate monitor node notify orders parser payments pipeline plugin policy portal "
    "probe profile proxy queue report router rules runner scheduler schema search server service session shop sms "
    "static status store stream sync system tasks tenant test tools tracker user users util vault web widget worker"
)
WORDS = tuple(_WORDS.split())
EXTENSIONS = ("log", "json", "py", "conf", "txt", "tmp", "yaml", "gz", "so", "js", "db", "pid", "lock", "html", "cache")
USERS = (
    ("0", "root"),
    ("33", "www-data"),
    ("1000", "deploy"),
    ("1001", "jenkins"),
    ("113", "postgres"),
    ("1002", "anna"),
    ("1003", "tomek"),
    ("65534", "nobody"),
    ("101", "systemd-network"),
    ("1004", "svc-backup"),
)
_ROOTS = (
    "/var/log",
    "/var/lib",
    "/srv",
    "/opt",
    "/home/deploy",
    "/usr/share",
    "/usr/lib",
    "/var/cache",
    "/home/jenkins/work",
)


class Zipf:
    """Draws from `items`, the k-th of them with weight 1 / (k + 1) ** exponent: O(log n) a draw."""

    __slots__ = ("_cumulated", "_items", "_random", "_total")

    def __init__(self, random_: random.Random, items: Sequence[str], exponent: float) -> None:
        self._random = random_.random
        self._items = items
        self._cumulated = list(accumulate((k + 1) ** -exponent for k in range(len(items))))
        self._total = self._cumulated[-1]

    def __call__(self) -> str:
        return self._items[bisect(self._cumulated, self._random() * self._total)]


class Values:
    """Fills the placeholders of argument templates.

    `unique` is the chance that a path or an argument is one that was never seen before: about 0.15 on ordinary hosts,
    0.9 in the hard set.
    """

    def __init__(self, random_: random.Random, *, unique: float) -> None:
        self.random = random_
        self.unique = unique
        self._bits = random_.getrandbits
        words = list(WORDS)
        random_.shuffle(words)
        self._word = Zipf(random_, words, 0.9)
        folders = [self._make_folder() for _ in range(900)]
        self._folder = Zipf(random_, folders, 0.8)
        self._path = Zipf(random_, [self._make_path() for _ in range(20_000)], 0.7)
        self._script = Zipf(random_, [self._make_script() for _ in range(300)], 1.0)
        self._ip = Zipf(random_, [self._make_ip() for _ in range(4_000)], 0.9)
        self._makers: dict[str, Callable[[], str]] = {
            "word": self._word,
            "n": lambda: str(1 + int(self.random.random() ** 2 * 60)),
            "hex": self.hex,
            "path": self.path,
            "folder": self.folder,
            "config": lambda: f"/etc/{self._word()}/{self._word()}.conf",
            "script": self.script,
            "temporary": lambda: f"/tmp/{self._word()}.{self.hex()[:10]}",
            "proc": lambda: f"/proc/{self.random.randrange(300, 90_000)}/status",
            "source": lambda: f"{self.folder()}/{self._word()}_{self._word()}.c",
            "object": lambda: f"{self.folder()}/{self._word()}_{self._word()}.o",
            "extension": lambda: self.random.choice(EXTENSIONS),
            "port": lambda: str(self.random.choice((80, 443, 3000, 5432, 8080, 8443, 9090, 9100))),
            "ip": self.ip,
            "url": lambda: f"https://{self._word()}.example.net/{self._word()}/{self.hex()[:8]}",
            "user": lambda: self.random.choice(USERS)[1],
            "tool": lambda: self.random.choice(
                ("/usr/bin/true", "/usr/bin/stat", "/usr/bin/md5sum", "/usr/bin/basename")
            ),
        }

    def __getitem__(self, name: str) -> str:
        return self._makers[name]()

    def hex(self) -> str:
        return f"{self._bits(64):016x}"

    def path(self) -> str:
        if self.random.random() < self.unique:
            return f"{self._folder()}/{self.hex()}/{self._word()}.{self.random.choice(EXTENSIONS)}"
        return self._path()

    def folder(self) -> str:
        if self.random.random() < self.unique / 3:
            return f"{self._folder()}/{self.hex()}"
        return self._folder()

    def script(self) -> str:
        if self.random.random() < self.unique / 2:
            return f"{self._folder()}/{self.hex()}.sh"
        return self._script()

    def ip(self) -> str:
        return self._ip()

    def entity_id(self) -> str:
        """Make an entity id: random, as wide as those that Defend computes."""
        return f"{self._bits(160):040x}"

    def args(self, template: tuple[str, ...]) -> list[str]:
        """Fill one template; in the hard set most runs get an argument of their own."""
        args = [part.format_map(self) if "{" in part else part for part in template]  # type: ignore[arg-type]
        if self.unique > 0.5 and self.random.random() < self.unique:
            args.append(f"--{self._word()}={self.hex()}{self.hex()}")
        return args

    def _make_folder(self) -> str:
        return "/".join(
            [self.random.choice(_ROOTS), *(self._word() for _ in range(self.random.choice((1, 1, 2, 2, 3))))]
        )

    def _make_path(self) -> str:
        return f"{self._folder()}/{self._word()}-{self.random.randrange(2000)}.{self.random.choice(EXTENSIONS)}"

    def _make_script(self) -> str:
        return f"{self.random.choice(('/opt', '/usr/local/bin', '/srv/bin'))}/{self._word()}-{self._word()}.sh"

    def _make_ip(self) -> str:
        first = self.random.choice((10, 10, 10, 172, 192, 52, 34, 151, 140, 185))
        second = {10: 20, 172: 16, 192: 168}.get(first, self.random.randrange(1, 250))
        return f"{first}.{second}.{self.random.randrange(1, 250)}.{self.random.randrange(1, 250)}"
