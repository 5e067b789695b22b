"""Benchmarks of maxspan: generated events, the figures of docs/benchmarks.md, and what else could do the same work.

Run from the root of the checkout: `make bench` (short form) or `make bench-full`. Nothing in the package imports this
folder; its dependencies (`benchmarks/requirements.txt`) live in an environment of their own, `benchmarks/.venv`.
"""
