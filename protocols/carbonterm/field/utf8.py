"""UTF-8 as RFC 3629 has it, checked alike on every runtime."""

from carbonterm.errors import FrameError

# first byte below, how many follow, range of the second
_LEADS = ((0xC2, 0, 0, 0), (0xE0, 1, 0x80, 0xBF), (0xE1, 2, 0xA0, 0xBF), (0xED, 2, 0x80, 0xBF), (0xEE, 2, 0x80, 0x9F),
          (0xF0, 2, 0x80, 0xBF), (0xF1, 3, 0x90, 0xBF), (0xF4, 3, 0x80, 0xBF), (0xF5, 3, 0x80, 0x8F))  # fmt: skip


def utf8(data):
    """Text of UTF-8 bytes; FrameError for what RFC 3629 does not allow: overlong forms, surrogates, half characters."""
    i, end = 0, len(data)
    while i < end:
        byte = data[i]
        i += 1
        if byte < 0x80:
            continue
        more, low, high = _follows(byte)
        if not more or i + more > end or not low <= data[i] <= high:
            raise FrameError("byte %02XH at %d is no UTF-8" % (byte, i - 1))
        for k in range(i + 1, i + more):
            if not 0x80 <= data[k] <= 0xBF:
                raise FrameError("byte %02XH at %d is no UTF-8" % (data[k], k))
        i += more
    return bytes(data).decode()


def _follows(byte):
    """(how many bytes follow a first one, range of the second); 0: none begins so."""
    for below, count, low, high in _LEADS:
        if byte < below:
            return count, low, high
    return 0, 0, 0
