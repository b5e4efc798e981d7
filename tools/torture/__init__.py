"""Torture: exhaustive and seeded sweeps against the log, its storage and its bundles; `make torture` runs them all."""
