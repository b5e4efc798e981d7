"""`python -m carbonterm_host` is `carbonterm`."""

from carbonterm_host.cli import main

main()
