"""The terminal's key: made on the device at its first start, kept in its data folder, never shown.

The random source is asked for twice as many bytes as the key has and must not repeat itself: a source that is stuck
makes no key. The file is written whole and durable before the key is used for the first time.
"""

from carbonterm.errors import GmError
from carbonterm.gm import sm2, sm3

NAME = "private.key"


def load_or_make(storage, random):
    """The Signer of the key in `storage`; makes one from random(n) -> bytes where there is none."""
    if NAME in storage.names():
        private = storage.read(NAME, 0, 33)
        if len(private) != 32:
            raise GmError(
                "%s has %d bytes, not 32" % (NAME, len(private)), "restore it from the backup, or begin a new epoch"
            )
        return sm2.Signer(private)
    first, second = random(32), random(32)
    if first == second or len(set(first)) < 8:
        raise GmError("the random source repeats itself", "no key is made from it; check the device's random generator")
    while True:
        private = sm3.digest(first + second)
        try:
            signer = sm2.Signer(private)
            break
        except GmError:  # 0 or above n - 2: once in 2^224
            second = private
    storage.replace(NAME, private)
    return signer
