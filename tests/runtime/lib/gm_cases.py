"""Seeded cases of national cryptography on which every backend of the host must say the same (CPython only).

A case is (operation, number): `run(operation, number)` makes it anew from those two, so that what fails can be replayed
alone. It is a random one, or one with a part changed; its outcome is "accepted" or "refused".
"""

from carbonterm.errors import GmError
from carbonterm.gm import sm2, sm2_encrypt
from carbonterm.gm.curve import N, P
from carbonterm_host import gm_backends, gm_ciphers
from seeded import Random

ALL = gm_backends.BACKENDS
WITHOUT_GMSSL = ("core", "openssl")
# operation: how many of 10 000
SHARES = {
    "digest": 1000, "verify": 2600, "hmac": 1000, "kdf": 800, "block": 1000, "cbc": 800, "cbc open": 800, "ctr": 600,
    "gcm": 500, "gcm open": 500, "sm2 decrypt": 400,
}  # fmt: skip
_SPECIAL = (0, 1, N - 1, N, N + 1, P - 1, P, (1 << 256) - 1)
_signers = {}


def counts(operation, numbers):
    """{outcome: how many} of the cases; AssertionError names the first that fails."""
    found = {"accepted": 0, "refused": 0}
    for number in numbers:
        found[run(operation, number)] += 1
    return found


def run(operation, number):
    """The outcome of one case."""
    random = Random(number * 64 + list(SHARES).index(operation) + 1)
    backends, function, values = _CASES[operation](random)
    said = {}
    for backend in backends:
        try:
            said[backend] = function(*values, backend=backend)
        except GmError:
            said[backend] = False
    assert len(set(said.values())) == 1, (operation, number, said, values)
    return "refused" if said["core"] is False else "accepted"


def mutated(random, values, which):
    """`values` with one of those numbered `which` changed: a bit, bytes more or less, a special number, another's."""
    values = list(values)
    at = random.choice(which)
    part = bytearray(values[at])
    how = random.below(6)
    if how == 0 and part:
        part[random.below(len(part))] ^= 1 << random.below(8)
    elif how == 1:
        part += random.bytes(1 + random.below(3))
    elif how == 2:
        del part[len(part) - min(len(part), 1 + random.below(2)) :]
    elif how == 3 and len(part) >= 64:
        place = 32 * random.below(2)
        part[place : place + 32] = random.choice(_SPECIAL).to_bytes(32, "big")
    elif how == 4 and len(part) >= 64:
        place, modulus = 32 * random.below(2), random.choice((N, P))
        value = (modulus - int.from_bytes(part[place : place + 32], "big")) % modulus
        part[place : place + 32] = value.to_bytes(32, "big")
    else:
        part = bytearray(random.bytes(len(part)))
    values[at] = bytes(part)
    return values


def _signer(random):
    """(private bytes, Signer) of one of a few keys, as making one takes as long as signing."""
    private = (Random(random.below(40) + 1000).bits(256) % (N - 2) + 1).to_bytes(32, "big")
    if private not in _signers:
        _signers[private] = sm2.Signer(private)
    return private, _signers[private]


def _verify(random):
    _, signer = _signer(random)
    message = random.bytes(random.below(200))
    values = [signer.public, message, signer.sign(message, random.bytes(random.choice((0, 32))))]
    if random.below(3):
        values = mutated(random, values, (0, 1, 2))
    return ALL, gm_backends.verify, values


def _block(random):
    return ALL, gm_ciphers.block, _perhaps(random, [random.bytes(16), random.bytes(16)]) + [bool(random.below(2))]


def _cbc(random):
    values = _perhaps(random, [random.bytes(16), random.bytes(16)])
    return ALL, gm_ciphers.cbc, [*values, random.bytes(random.below(80)), False]


def _cbc_open(random):
    key, iv = random.bytes(16), random.bytes(16)
    ciphertext = gm_ciphers.cbc(key, iv, random.bytes(random.below(64)))
    if random.below(3) == 0:  # the last byte of the plaintext becomes another: most paddings are then none
        changed = bytearray(iv + ciphertext)
        changed[-17] ^= 1 + random.below(31)
        iv, ciphertext = bytes(changed[:16]), bytes(changed[16:])
        return ALL, gm_ciphers.cbc, [key, iv, ciphertext, True]
    return ALL, gm_ciphers.cbc, [*_perhaps(random, [key, iv, ciphertext]), True]


def _ctr(random):
    counter = random.choice((random.bytes(16), bytes(random.below(17)).rjust(16, b"\xff")))
    return ALL, gm_ciphers.ctr, [*_perhaps(random, [random.bytes(16), counter]), random.bytes(random.below(80))]


def _gcm(random):
    values = _perhaps(random, [random.bytes(16), random.bytes(12)])
    return WITHOUT_GMSSL, gm_ciphers.gcm, [*values, random.bytes(random.below(80)), random.bytes(random.below(40))]


def _gcm_open(random):
    key, iv, aad = random.bytes(16), random.bytes(12), random.bytes(random.below(40))
    sealed = gm_ciphers.gcm(key, iv, random.bytes(random.below(80)), aad)
    return WITHOUT_GMSSL, gm_ciphers.gcm, [*_perhaps(random, [key, iv, sealed, aad]), True]


def _sm2_decrypt(random):
    private, signer = _signer(random)
    plain = random.bytes(1 + random.below(60))
    if random.below(2):
        ciphertext = gm_ciphers.encrypt(signer.public, plain, "openssl")
    else:
        ciphertext = sm2_encrypt.encrypt(signer.public, plain, random.bytes(32))
    return ALL, gm_ciphers.decrypt, _perhaps(random, [private, ciphertext])


def _perhaps(random, values):
    """Half of the time `values` as they are."""
    return mutated(random, values, range(len(values))) if random.below(2) else values


_CASES = {
    "digest": lambda random: (ALL, gm_backends.digest, [random.bytes(random.below(200))]),
    "verify": _verify,
    "hmac": lambda random: (ALL, gm_ciphers.hmac, [random.bytes(random.below(130)), random.bytes(random.below(130))]),
    "kdf": lambda random: (ALL, gm_ciphers.kdf, [random.bytes(random.below(100)), random.below(120)]),
    "block": _block, "cbc": _cbc, "cbc open": _cbc_open, "ctr": _ctr, "gcm": _gcm, "gcm open": _gcm_open,
    "sm2 decrypt": _sm2_decrypt,
}  # fmt: skip
