"""Several processes over one input; they find what one process finds, in the same order.

parts     event files     -> parts that a process can read on its own
heads     a run of parts  -> nothing is passed over while what came before it may still matter
run       a run of parts  -> matches, sequences, and what is unfinished at its end
worker    the process that does it
processes starting, asking and ending workers
planning  which worker reads which parts
joining   runs in order   -> sequences across their borders, positions, lines, counters
detector  all of it
"""

from maxspan.engine.jobs.detector import JobsDetector, detect

__all__ = ["JobsDetector", "detect"]
