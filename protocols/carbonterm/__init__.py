"""carbonterm (碳计量数据终端): the shared core. Pure functions and small state machines; no I/O, no clock, no chance.

The same files run on CPython and on MicroPython (64-bit and 32-bit) and give the same bytes on all of them.
"""

__version__ = "0.1.0"
