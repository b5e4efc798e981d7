"""`network`, simulated: interfaces that are up unless the supervisor's folder has a file `network-down`. Sockets are
those of the machine."""

import simulated_chip as chip

STA_IF, AP_IF = 0, 1


class WLAN:
    """An interface. `connect` works with every name and secret."""

    IF_STA, IF_AP = 0, 1

    def __init__(self, *arguments, **options):
        self._active = False
        self._joined = False

    def active(self, on=None):
        if on is None:
            return self._active
        self._active = bool(on)

    def config(self, *names, **values):
        return None

    def connect(self, name=None, secret=None, **options):
        self._joined = True

    def disconnect(self):
        self._joined = False

    def isconnected(self):
        return self._active and self._joined and not chip.is_there("network-down")

    def ifconfig(self, *rows):
        return "127.0.0.1", "255.0.0.0", "127.0.0.1", "127.0.0.1"

    def ipconfig(self, *names, **values):
        return ("127.0.0.1", "255.0.0.0") if names else None


class LAN(WLAN):
    """Ethernet: joined as soon as it is active."""

    def __init__(self, *arguments, **options):
        super().__init__()
        self._joined = True


WIZNET5K = LAN
