"""Benchmarks: one module per subject with `run() -> rows`, a row's figures from one run; `python -m tools.bench`."""
