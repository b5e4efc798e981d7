"""The terminal's keys: one per epoch, made on the device, kept in its data folder, never shown (docs/keys.md).

Making a key is the only moment at which everything hangs on the random source, so it is tested (NIST SP 800-90B 4.4,
repetition count and adaptive proportion, at full entropy and a false alarm once in 2^30), asked several times, and
mixed by SM3 with the jitter of the processor's clock and with bytes that the provisioning tool hands in. Whoever knows
only some of the three knows nothing of the key. The file is durable before the key is used for the first time.
"""

from carbonterm.errors import GmError
from carbonterm.gm import sm2, sm3

READS, BYTES = 16, 64  # of the random source: 1024 bytes, what SP 800-90B 4.3 wants of a start-up test
REPEATED = 5  # so many equal bytes in a row: 1 + 30 / 8
WINDOW, FREQUENT = 512, 17  # so many of a window's bytes equal to its first one: once in 2^31

_DOMAIN = b"carbonterm-key-1"


def name(epoch):
    """File of the epoch's private key."""
    return "%05d.key" % epoch


def epochs(storage):
    """Epochs whose private keys are in `storage`, in order."""
    found = []
    for one in storage.names():
        if len(one) == 9 and one[5:] == ".key" and all("0" <= c <= "9" for c in one[:5]):
            found.append(int(one[:5]))
    return sorted(found)


def load(storage, epoch):
    """The Signer of the epoch's key; GmError where the file is not one."""
    private = storage.read(name(epoch), 0, 33)
    if len(private) != 32:
        raise GmError(
            "%s has %d bytes, not 32" % (name(epoch), len(private)),
            "restore nothing from a backup: begin a new epoch (docs/keys.md, a lost key)",
        )
    return sm2.Signer(private)


def signer(private):
    """The Signer of a key from `draw`."""
    return sm2.Signer(private)


def make(storage, epoch, port, entropy=b""):
    """Makes the epoch's key, durable, and returns its Signer; arguments and errors as `draw` and `store`."""
    private = draw(port, entropy)
    store(storage, epoch, private)
    return sm2.Signer(private)


def draw(port, entropy=b""):
    """A new private key. `port`: random(n), fine_ticks(); entropy: bytes from outside, best 32.

    GmError where the random source fails its test.
    """
    mixed = sm3.Hash()
    mixed.update(_DOMAIN + len(entropy).to_bytes(4, "big") + entropy)
    samples = []
    for _ in range(READS):
        begin = port.fine_ticks()
        samples.append(port.random(BYTES))
        mixed.update(samples[-1] + _low(port.fine_ticks() - begin))
    why = weakness(b"".join(samples))
    if why:
        raise GmError("the random source " + why, "no key is made from it; check the device's random generator")
    for _ in range(64):  # how far a loop gets until the counter moves: interrupts, caches and the scheduler decide
        begin, count = port.fine_ticks(), 0
        while port.fine_ticks() == begin and count < 10000:
            count += 1
        mixed.update(_low(port.fine_ticks()) + _low(count))
    seed, turn = mixed.digest(), 0
    while True:
        private = sm3.digest(_DOMAIN + turn.to_bytes(4, "big") + seed)
        try:
            sm2.Signer(private)
            return private
        except GmError:  # 0 or above n - 2: once in 2^32
            turn += 1


def store(storage, epoch, private):
    """Writes the epoch's key; GmError if it has one."""
    if epoch in epochs(storage):
        raise GmError("epoch %d has a key" % epoch, "a key is never replaced: begin the next epoch")
    storage.replace(name(epoch), private)


def erase(storage, epoch):
    """Overwrites and removes the epoch's private key. What a flash keeps of it, only its encryption protects."""
    if epoch in epochs(storage):
        storage.erase(name(epoch))


def weakness(samples):
    """What is wrong with random bytes (at least two windows), as text, or None."""
    run = 1
    for i in range(1, len(samples)):
        run = run + 1 if samples[i] == samples[i - 1] else 1
        if run >= REPEATED:
            return "repeats itself: %d equal bytes in a row" % run
    for start in range(0, len(samples) - WINDOW + 1, WINDOW):
        window = samples[start : start + WINDOW]
        count = 0
        for value in window:
            if value == window[0]:
                count += 1
        if count >= FREQUENT:
            return "is not even: %d of %d bytes are the same" % (count, WINDOW)
    for at in range(BYTES, len(samples) - BYTES + 1, BYTES):
        if samples[at : at + BYTES] == samples[:BYTES]:
            return "gives the same bytes again"
    return None


def _low(number):
    return (number & 0xFFFFFFFF).to_bytes(4, "big")
