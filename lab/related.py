"""What the related rules look for, done for real: each activity must raise the alert of its rule."""

from __future__ import annotations

from lab.activity import Activity, script
from lab.namespaces import Pair


def at_job(pair: Pair) -> None:
    """Plan a job far ahead; no atd runs, and the spool goes with the machine."""
    script(pair.victim, "echo 'uname -a' | at now + 10 days")


def cron_table(pair: Pair) -> None:
    script(pair.victim, "echo '7 3 * * * id' | crontab - && crontab -l")


def cron_drop_in(pair: Pair) -> None:
    script(pair.victim, "echo '7 3 * * * root id' > /etc/cron.d/lab")


def tc_bpf(pair: Pair) -> None:
    """Attach a filter of one instruction, which lets every packet pass, and take it away."""
    script(
        pair.victim, "tc qdisc add dev eth0 clsact && tc filter add dev eth0 ingress bpf bytecode '1,6 0 0 4294967295'"
    )
    script(pair.victim, "tc filter show dev eth0 ingress | grep -q bpf && tc qdisc del dev eth0 clsact")


def shared_memory(pair: Pair) -> None:
    script(pair.victim, "cp /bin/true /dev/shm/.lab && /dev/shm/.lab && rm /dev/shm/.lab")


RELATED = [
    Activity("at_job", "a job for at", at_job, ("at",), "At Job Created or Modified"),
    Activity("cron_table", "a line in a user's crontab", cron_table, ("crontab",), "Cron Job Created or Modified"),
    Activity("cron_drop_in", "a file in /etc/cron.d", cron_drop_in, (), "Cron Job Created or Modified"),
    Activity("tc_bpf", "a BPF filter on a network device", tc_bpf, ("tc",), "BPF Filter Applied with tc"),
    Activity(
        "shared_memory",
        "a program in /dev/shm",
        shared_memory,
        (),
        "Binary Executed from Shared Memory Directory",
    ),
]
