"""`pyb`, simulated: the part of the chip's flash that the base firmware leaves to file systems."""

from rp2 import Flash  # noqa: F401 - the same form
