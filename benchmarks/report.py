"""Results as JSON, as a Markdown table, and the growth with the number of rules as SVG."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

Growth = dict[str, list[tuple[int, float]]]
PEERS = ("msgspec", "google-re2", "duckdb", "eql", "polars", "chdb")
_BEGIN, _END = "<!-- figures: begin -->", "<!-- figures: end -->"


def mark(reached: bool | None) -> str:
    return {True: "reached", False: "missed", None: "-"}[reached]


def machine() -> dict[str, Any]:
    """Say what the figures were measured on and with."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    model = [line.split(":", 1)[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    versions = {name: importlib.metadata.version(name) for name in PEERS if _installed(name)}
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "cpu": model[0] if model else platform.machine(),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "commit": commit.stdout.strip(),
        "versions": versions,
    }


def _lines(path: str) -> list[str]:
    file = Path(path)
    return file.read_text().splitlines() if file.exists() else []


def _installed(name: str) -> bool:
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def write(rows: list[dict[str, Any]], growth: Growth | None, out: Path, docs: Path | None) -> None:
    """Write `benchmarks.json`, `benchmarks.md` and `growth.svg` into `out`, and the table and the plot into docs/."""
    out.mkdir(exist_ok=True)
    host = machine()
    (out / "benchmarks.json").write_text(json.dumps({"machine": host, "rows": rows, "growth": growth}, indent=2) + "\n")
    table = markdown(rows, host)
    (out / "benchmarks.md").write_text(table)
    if growth:
        (out / "growth.svg").write_text(plot(growth))
    if docs:
        page = docs / "benchmarks.md"
        before, _, rest = page.read_text().partition(_BEGIN)
        page.write_text(f"{before}{_BEGIN}\n{table}{_END}{rest.partition(_END)[2]}")
        if growth:
            (docs / "growth.svg").write_text(plot(growth))


def rows_before(out: Path) -> list[dict[str, Any]]:
    """Give the rows of the last run."""
    rows: list[dict[str, Any]] = json.loads((out / "benchmarks.json").read_text("utf-8"))["rows"]
    return rows


def markdown(rows: list[dict[str, Any]], host: dict[str, Any]) -> str:
    lines = ["| | goal | measured | | how |", "|---|---|---|---|---|"]
    lines += [f"| {r['name']} | {r['goal']} | {r['figure']} | {mark(r['reached'])} | {r['detail']} |" for r in rows]
    versions = ", ".join(f"{name} {version}" for name, version in host["versions"].items())
    lines += [
        "",
        f"{host['cpu']}, {host['cores']} cores, Linux {host['kernel']}, Python {host['python']}, {versions}; ",
    ]
    lines[-1] += f"commit {host['commit']}, {host['date']}."
    return "\n".join(lines) + "\n"


def plot(growth: Growth) -> str:
    """Draw seconds against the number of rules, both on logarithmic scales."""
    import io

    import matplotlib as mpl

    mpl.use("Agg")
    mpl.rcParams["svg.hashsalt"] = "maxspan"
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4))
    for (name, points), marker in zip(growth.items(), "os", strict=False):
        axes.plot(*zip(*points, strict=True), marker=marker, label=name)
    axes.set(xscale="log", yscale="log", xlabel="rules", ylabel="seconds for the same events")
    axes.set_xticks([count for count, _ in growth["maxspan"]], [str(count) for count, _ in growth["maxspan"]])
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.legend()
    figure.tight_layout()
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None})
    pyplot.close(figure)
    return text.getvalue()
