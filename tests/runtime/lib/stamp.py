"""A signer for tests of a log's bytes, order and rows: entries are signed quickly and wrongly, checkpoints rightly,
since the log verifies those itself."""

from carbonterm.gm import sm2

SIGNER = sm2.Signer(bytes(31) + b"\x07")


class Stamp:
    public = SIGNER.public

    def sign(self, message, extra):
        if message.startswith(b"carbonterm/"):
            return SIGNER.sign(message, extra)
        return bytes((len(message) & 255,)) * 64
