"""Benches: a terminal between simulated meters and a centre, put through a scenario and judged (docs/bench.md)."""
