"""Series: readings of a register to increments, increments to settlements (T/CSMT clause 8.2)."""
