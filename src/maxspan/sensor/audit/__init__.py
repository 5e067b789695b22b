"""The fallback sensor: the kernel's audit subsystem over netlink, where BPF cannot be loaded.

netlink     the socket: status, rules, messages           rules       which system calls are watched
message     one message becomes fields                    assemble    messages of one event become an event
serials     which events never came
procfs      what is read afterwards from /proc            processes   which process is which, beyond pid reuse
translate   an event becomes records                      backend     all of it behind the Backend protocol
"""

from __future__ import annotations

from maxspan.sensor.audit.backend import AuditBackend

__all__ = ["AuditBackend"]
