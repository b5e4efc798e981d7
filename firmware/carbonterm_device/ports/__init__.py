"""What differs by board: clock, randomness, sockets, serial devices. `from carbonterm_device.ports import port`.

A port is a module with RUNTIME, BAUDS, now_ms, clock_state, ticks_ms, ticks_add, ticks_diff, sleep_ms, wait_ms,
fine_ticks, random, open_tcp, open_tls, load_chain, open_serial, uncancel, CANCELS_LATE; unix.py says what each does.
Those of microcontrollers (microcontroller.py) have block_device, network_up, reset_cause, unique_id and watchdog
besides.

An image has a module carbonterm_board that names its port; without one this is a Linux gateway.
"""

import sys

try:
    from carbonterm_board import FAMILY
except ImportError:
    FAMILY = "unix" if sys.platform in ("linux", "darwin") else sys.platform

if FAMILY == "unix":
    from carbonterm_device.ports import unix as port
elif FAMILY == "esp32":
    from carbonterm_device.ports import esp32 as port
elif FAMILY == "rp2":
    from carbonterm_device.ports import rp2 as port
elif FAMILY == "stm32":
    from carbonterm_device.ports import stm32 as port
else:
    raise ImportError("no port for the platform %s; add one beside carbonterm_device/ports/unix.py" % FAMILY)

__all__ = ["port"]
