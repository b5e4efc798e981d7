"""Inventories of the terminals of a platform: totals, boundaries, enterprises."""
