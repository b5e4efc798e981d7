"""Asking a time server over real UDP: silence, refusals, how long is waited, and who is asked no more."""

import asyncio
import socket
import threading

import pytest

from carbonterm import sntp
from carbonterm_device import timeserver
from carbonterm_device.ports import unix
from carbonterm_host.boards import provision
from carbonterm_host.screen import Failure
from chrony import Chrony


class Port:
    """The machine's, but long pauses are only noted; after `most` of them the task is ended."""

    ticks_ms, ticks_diff, random = staticmethod(unix.ticks_ms), staticmethod(unix.ticks_diff), staticmethod(unix.random)

    def __init__(self, most):
        self.pauses, self.most = [], most

    async def sleep_ms(self, ms):
        if ms < 1000:
            await asyncio.sleep(ms / 1000)
            return
        self.pauses.append(ms)
        if len(self.pauses) == self.most:
            raise asyncio.CancelledError


class Clock:
    signed = False

    def __init__(self):
        self.heard = []

    def hear(self, ms, unsure_ms, signed):
        self.heard.append((ms, signed))
        return True


class Server:
    """Gives the answers of a list, one to a question; what is a function makes one of the question's cookie."""

    def __init__(self, *answers):
        self.answers = answers
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.place = f"127.0.0.1:{self.socket.getsockname()[1]}"
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        for answer in self.answers:
            data, who = self.socket.recvfrom(256)
            self.socket.sendto(answer(data[40:]), who)


def right(cookie):
    stamp = (sntp.EPOCH_S + 1772366400).to_bytes(4, "big") + bytes(4)
    return bytes([0x24, 1, 6, 0xEC]) + bytes(20) + cookie + stamp + stamp


def kissed(word):
    return lambda cookie: bytes([0x24, 0, 6, 0xEC]) + bytes(8) + word + bytes(8) + cookie + bytes(16)


def asked(place, most):
    """(clock, pauses, words about the clock, words about what is wrong) of a task that ran until its end."""
    clock, port, told, wrong = Clock(), Port(most), [], []
    task = timeserver.TimeServer(place, clock, port, told.append, wrong.append)
    try:
        asyncio.run(task.run())
    except asyncio.CancelledError:
        port.pauses.append("ended")
    return clock, port.pauses, told, wrong


def test_an_answer_and_the_next_one():
    server = Server(right, right)
    clock, pauses, told, wrong = asked(server.place, 2)
    assert [signed for _, signed in clock.heard] == [False, False] and not wrong and len(told) == 2
    assert all(1772366400000 <= ms < 1772366400000 + timeserver.WAIT_MS for ms, _ in clock.heard)
    assert pauses == [timeserver.AGAIN_MS, timeserver.AGAIN_MS, "ended"] and told[0].startswith(server.place)


def test_one_that_wants_to_be_asked_less():
    clock, pauses, _, wrong = asked(Server(kissed(b"RATE"), kissed(b"RATE"), right).place, 3)
    assert pauses == [16000, 32000, timeserver.AGAIN_MS, "ended"] and len(clock.heard) == 1
    assert len(wrong) == 1 and "refuses (RATE)" in wrong[0], "said once"


def test_one_that_wants_to_be_asked_no_more():
    clock, pauses, _, wrong = asked(Server(kissed(b"DENY")).place, 3)
    assert pauses == [] and clock.heard == [] and "refuses (DENY)" in wrong[0]


def test_somebody_elses(tmp_path):
    """chronyd: without a source it says that it does not know the time, and does so by stratum 0, like a kiss."""
    with Chrony(tmp_path / "lost", knows=False) as server:
        clock, pauses, _, wrong = asked(server.place, 2)
    assert clock.heard == [] and pauses == [16000, 32000, "ended"]
    assert len(wrong) == 1 and "does not know the time itself" in wrong[0]
    with Chrony(tmp_path / "local") as server:
        begun = unix.now_ms()
        clock, pauses, told, wrong = asked(server.place, 2)
        ended = unix.now_ms()
    assert not wrong and len(told) == 2 and pauses == [timeserver.AGAIN_MS, timeserver.AGAIN_MS, "ended"]
    print([ms - begun for ms, _ in clock.heard], told)
    for (ms, _), text in zip(clock.heard, told, strict=True):  # "…, within 3 ms" of the same machine's clock
        unsure = int(text.split()[-2]) + 5
        assert begun - unsure <= ms <= ended + unsure


@pytest.mark.slow
def test_nobody_there(monkeypatch):
    monkeypatch.setattr(timeserver, "WAIT_MS", 300)  # of a server that says nothing
    silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    silent.bind(("127.0.0.1", 0))
    for place in (f"127.0.0.1:{silent.getsockname()[1]}", "127.0.0.1:1"):
        clock, pauses, _, wrong = asked(place, 10)
        assert clock.heard == [] and len(wrong) == 1 and "does not answer" in wrong[0]
        assert pauses[:4] == [16000, 32000, 64000, 128000] and pauses[8:] == [timeserver.LONGEST_MS] * 2 + ["ended"]
    silent.close()


def test_names():
    assert timeserver.place("ntp.example") == ("ntp.example", 123)
    assert timeserver.place("192.0.2.1:1123\n") == ("192.0.2.1", 1123)
    with pytest.raises(ValueError):
        timeserver.place("ntp.example:x")


def test_names_that_a_board_gets():
    assert provision.named(None) is None and provision.named("") == b""
    assert provision.named("ntp.example:1123") == b"ntp.example:1123"
    for wrong in ("ntp example", "ntp.example:", "a:b", "::1", "x\n"):
        with pytest.raises(Failure, match="is no time server"):
            provision.named(wrong)
