"""What differs by board: clock, randomness, sockets, serial devices. `from carbonterm_device.ports import port`.

A port is a module with RUNTIME, BAUDS, now_ms, clock_state, ticks_ms, ticks_add, ticks_diff, sleep_ms, wait_ms,
fine_ticks, random, open_tcp, open_tls, open_serial and uncancel; unix.py says what each does. There is one per kind of
board, chosen here by sys.platform.
"""

import sys

if sys.platform in ("linux", "darwin"):
    from carbonterm_device.ports import unix

    port = unix
else:
    raise ImportError("no port for the platform %s; add one beside carbonterm_device/ports/unix.py" % sys.platform)
