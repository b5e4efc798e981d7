"""Years of readings on the host: settled and accounted in whole columns of integers, with the terminal's figures.

`series` settles, `account` multiplies, `parquet` and `bundle` read; docs/series.md, "A year at once". What is regular
is counted in int64 by numpy; where a series has an event (a held reading, a rollover, a replacement, a gap) the core's
Settler takes it, so there is one rule and it is the terminal's.
"""
