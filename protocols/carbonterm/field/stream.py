"""Frames out of a stream of bytes, and one request's reply out of them: what all codecs of this folder share.

A decoder holds the bytes that may still become a frame and tries them from the first on. A byte that can begin no
frame is dropped; a candidate with all its bytes is a frame if its check is right, else its first byte alone is dropped
and the search goes on with the byte behind it: noise costs only itself, never a good frame behind it. A candidate that
waits for bytes that never come is ended by silence, which the caller tells with `flush`.
"""

from carbonterm.errors import FrameError, quoted

MASTER, METER = "master", "meter"  # roles of a decoder: it finds responses, or requests
REQUEST, RESPONSE = "request", "response"  # roles of a frame


def sought(role):
    """Role of the frames that a decoder of `role` finds; FrameError for another word."""
    if role not in (MASTER, METER):
        raise FrameError("%s is no role" % quoted(str(role)), "it is MASTER or METER")
    return RESPONSE if role == MASTER else REQUEST


class Decoder:
    """What a codec adds: `_length(held, start)`, the length of the frame that may begin there (0: none can; more than
    is held: bytes are missing), and `_frame(raw)`, the frame of these bytes, or None after counting into `errors`.

    dropped: bytes that belonged to no frame, leaders not counted; errors: whole candidates whose check was wrong.
    """

    START = b""  # the byte that each frame begins with; b"": more than one is possible
    LEADER = b""  # the byte that may stand before a frame and means nothing

    def __init__(self):
        self.dropped = 0
        self.errors = 0
        self._held = b""

    def feed(self, data):
        """List of the frames that `data` completes, in order."""
        held = self._held + bytes(data)
        start, end = 0, len(held)
        frames = []
        while start < end:
            if self.START:
                begin = held.find(self.START, start)
                begin = end if begin < 0 else begin
                if begin > start:
                    self._drop(held, start, begin)
                    start = begin
                    continue
            length = self._length(held, start)
            if start + length > end:
                break
            frame = self._frame(held[start : start + length]) if length else None
            if frame:
                frames.append(frame)
                start += length
            else:
                self.dropped += 1
                start += 1
        self._held = held[start:]
        return frames

    def flush(self):
        """Silence: ends the frame that is being waited for; list of the frames found behind its first byte."""
        frames = []
        while self._held:
            rest, self._held = self._held[1:], b""
            self.dropped += 1
            frames.extend(self.feed(rest))
        return frames

    @property
    def pending(self):
        """Number of bytes held, waiting for more."""
        return len(self._held)

    def _drop(self, held, start, end):
        self.dropped += end - start - (held.count(self.LEADER, start, end) if self.LEADER else 0)


class Exchange:
    """A master's one request and its reply. What a codec sets: `frame`, the bytes to send, `_decoder`, and
    `_answers(frame)`: whether a frame found is the reply. dropped, errors: the decoder's; foreign: frames that
    answered something else (an echo, another meter, an earlier request)."""

    __slots__ = ("_decoder", "foreign", "frame")

    def __init__(self, frame, decoder):
        self.frame = frame
        self.foreign = 0
        self._decoder = decoder

    def feed(self, data):
        """The reply's Frame once `data` completes it, else None."""
        return self._pick(self._decoder.feed(data))

    def flush(self):
        """Silence: the reply's Frame if one was hidden behind a half frame, else None."""
        return self._pick(self._decoder.flush())

    def _pick(self, frames):
        for found in frames:
            if self._answers(found):
                return found
            self.foreign += 1
        return None

    @property
    def dropped(self):
        return self._decoder.dropped

    @property
    def errors(self):
        return self._decoder.errors
