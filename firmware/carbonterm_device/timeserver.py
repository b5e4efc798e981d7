"""Asks a time server (carbonterm.sntp) for a board that nobody else tells the time, and hears no more than a centre's
signed word: nothing authenticates a time server (docs/time.md). Only boards for which one is named load this module.
"""

import socket

from carbonterm import sntp

PORT = 123
WAIT_MS = 4000  # for an answer
LOOK_MS = 10
FIRST_MS, LONGEST_MS = 16000, 3600000  # between questions while there is no answer; RFC 4330 section 10: 15 s at least
AGAIN_MS = 6 * 3600000


def place(text):
    """(host, port) of "host" or "host:port"; ValueError."""
    host, _, number = text.strip().partition(":")
    return host, int(number or PORT)


class TimeServer:
    """`name`: "host" or "host:port", else ValueError; `clock`: Clock that hears; `told(text)`: called where an answer
    has set the clock; `wrong(text)`: called with why there is no time, once for each other reason. `await run()` ends
    where the server wants to be asked no more."""

    def __init__(self, name, clock, port, told, wrong):
        self.name = name
        self._place = place(name)
        self._clock, self._port = clock, port
        self._told, self._wrong = told, wrong
        self._reason = None
        self._pause = FIRST_MS

    async def run(self):
        while True:
            pause = AGAIN_MS
            if not self._clock.signed:
                try:
                    ms, unsure = await self._ask()
                except sntp.Refusal as refusal:
                    pause = self._failed(str(refusal))
                    if refusal.kiss in sntp.STOP:
                        return
                except OSError as error:
                    pause = self._failed("the time server %s does not answer (%s)" % (self.name, error))
                else:
                    self._reason, self._pause = None, FIRST_MS
                    if self._clock.hear(ms, unsure, False):
                        self._told("%s, within %d ms" % (self.name, unsure))
            await self._port.sleep_ms(pause)

    def _failed(self, text):
        """Says why, unless that was said; how long to wait."""
        if text != self._reason:
            self._reason = text
            self._wrong(text)
        pause, self._pause = self._pause, min(2 * self._pause, LONGEST_MS)
        return pause

    async def _ask(self):
        """(milliseconds since 1970, by how many that may be off) of the server's answer. Refusal, OSError."""
        port = self._port
        info = socket.getaddrinfo(self._place[0], self._place[1], 0, socket.SOCK_DGRAM)[0]
        one = socket.socket(info[0], socket.SOCK_DGRAM)
        try:
            one.setblocking(False)
            one.connect(info[-1])
            cookie = port.random(sntp.COOKIE)
            begun = port.ticks_ms()
            one.send(sntp.request(cookie))
            while True:
                took = port.ticks_diff(port.ticks_ms(), begun)
                data = _received(one)
                if data is not None and data[24:32] == cookie:  # any other is forged or late
                    return sntp.read(data, cookie, took)
                if took > WAIT_MS:
                    raise OSError(110)  # ETIMEDOUT
                await port.sleep_ms(LOOK_MS)
        finally:
            one.close()


def _received(one):
    """What has come; None where nothing has."""
    try:
        return one.recv(256)
    except OSError as error:
        if error.errno in (11, 35):  # EAGAIN
            return None
        raise
