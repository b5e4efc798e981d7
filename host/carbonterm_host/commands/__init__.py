"""One module per command of `carbonterm`; the table is in carbonterm_host.cli."""
