"""What stands for a board's chip on MicroPython's unix port; runs there, not here (carbonterm_host.boards.virtual)."""
