"""Linux gateways: MicroPython's unix port, and CPython for debugging. Nothing here blocks the event loop.

A link is an open connection or serial device: `await link.read(n)` gives 1 to n bytes, b"" when the other end has hung
up; `link.send(data)` hands all of `data` to the system at once; `link.discard()` throws away what has come and was not
read, and says how many bytes; `link.configure(baud, parity, stop)` of a serial one; `link.close()`.
They raise OSError when the link is broken.
"""

import asyncio
import gc
import json
import os
import socket
import sys
import termios
import time

from carbonterm.clock import NETWORK, RTC, from_port

MICROPYTHON = sys.implementation.name == "micropython"
if MICROPYTHON:
    import tls  # its `ssl` module connects without looking at the certificate
else:
    import base64
    import ssl
    import tempfile
    import traceback
RUNTIME = sys.implementation.name + " " + ".".join([str(n) for n in sys.implementation.version[:3]])

# Linux, asm-generic/termbits.h (x86, ARM, RISC-V): MicroPython's termios names few of them
BAUDS = {
    300: 7, 600: 8, 1200: 9, 1800: 10, 2400: 11, 4800: 12, 9600: 13, 19200: 14, 38400: 15,
    57600: 0o10001, 115200: 0o10002, 230400: 0o10003, 460800: 0o10004, 921600: 0o10007,
}  # fmt: skip
_IGNPAR, _INPCK = 0o4, 0o20
_CS8, _CSTOPB, _CREAD, _PARENB, _PARODD, _CLOCAL = 0o60, 0o100, 0o200, 0o400, 0o1000, 0o4000
_VTIME, _VMIN = 5, 6
_IPPROTO_TCP, _TCP_NODELAY = 6, 1
_EAGAIN, _EIO, _EACCES, _EEXIST, _ENAMETOOLONG, _EINVAL = 11, 5, 13, 17, 36, 22
_TERMIOS = OSError if MICROPYTHON else (OSError, termios.error)
_S_IFMT, _S_IFSOCK, _S_IWOTH = 0o170000, 0o140000, 0o2

_EPOCH_MS = from_port(0, time.gmtime(0)[0])
_SYNCHRONIZED = "/run/systemd/timesync/synchronized"  # systemd-timesyncd makes it when it has the time from a server


def now_ms():
    """Milliseconds since 1970-01-01T00:00:00Z by the system's clock, which may jump."""
    return time.time_ns() // 1000000 + _EPOCH_MS


def clock_state():
    """How far `now_ms` is to be trusted if it shows a time: NETWORK where systemd-timesyncd says so, else RTC."""
    try:
        os.stat(_SYNCHRONIZED)
    except OSError:
        return RTC
    return NETWORK


def fine_ticks():
    """A fast counter (ns), for the jitter between two looks at it; it may jump."""
    return time.time_ns()


def random(n):
    """n bytes from the system's random number generator."""
    return os.urandom(n)


def read_channel(folder, name, size):
    """What an input of the system shows, at most `size` bytes: a file of Linux' sysfs (industrial I/O, counters)."""
    with open(folder + "/" + name, "rb") as file:
        return file.read(size)


def heap_used():
    """Bytes of the heap in use, garbage included; 0 where the runtime does not tell."""
    return gc.mem_alloc() if MICROPYTHON else 0


def tend_heap(share):
    """Collects garbage now, and again whenever a `share`th of what is free then has been taken.

    Left to the moment when the heap is full, the collector leaves what lives scattered over all of it, and there is no
    place for a list of some kilobytes in megabytes that are free: 16 while much is built that stays. After that, 2:
    each collection has the next allocations look for free blocks from the heap's beginning on, which takes longer than
    the collection."""
    gc.collect()
    if MICROPYTHON:
        gc.threshold(gc.mem_free() // share)


def print_exception(error):
    """The traceback of an error, to stderr."""
    if MICROPYTHON:
        sys.print_exception(error, sys.stderr)
    else:
        traceback.print_exception(error)


def write_volatile(path, status):
    """Puts the dict as JSON in place of the file, whole or not at all, and waits for no disk: for status files on
    tmpfs. Value by value, as a small heap has no room for all of it at once."""
    with open(path + ".new", "w") as file:
        before = "{"
        for name in status:
            file.write("%s%s: %s" % (before, json.dumps(name), json.dumps(status[name])))
            before = ", "
        file.write("}")
    os.rename(path + ".new", path)


def _bound(path):
    """A socket of the file system, listening; whoever may write the file may connect. OSError, EACCES where the umask
    lets everybody. One that an earlier process left is taken away."""
    name = path.encode()
    if len(name) > 107:
        raise OSError(_ENAMETOOLONG)
    try:
        if os.stat(path)[0] & _S_IFMT != _S_IFSOCK:
            raise OSError(_EEXIST)
        os.remove(path)
    except OSError as error:
        if error.errno != 2:
            raise
    s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        s.bind(bytes((socket.AF_UNIX, 0)) + name + b"\0" if MICROPYTHON else path)
        if os.stat(path)[0] & _S_IWOTH:
            os.remove(path)
            raise OSError(_EACCES)
        s.listen(4)
        s.setblocking(False)
    except BaseException:
        s.close()
        raise
    return s


def server_context(certificate, key):
    """A TLS context for a server from its certificate and private key (DER); ValueError for what is none."""
    made = (tls if MICROPYTHON else ssl).SSLContext((tls if MICROPYTHON else ssl).PROTOCOL_TLS_SERVER)
    load_chain(made, certificate, key)
    return made


def load_chain(context, certificate, key):
    """Gives a TLS context a certificate and its private key (DER), to prove with; ValueError for what is none."""
    if MICROPYTHON:
        context.load_cert_chain(certificate, key)
        return
    with tempfile.NamedTemporaryFile() as file:  # CPython takes files only; mode 0600
        for name, der in (("CERTIFICATE", certificate), ("PRIVATE KEY", key)):
            if name == "PRIVATE KEY" and der[4:7] != b"\x02\x01\x00" and der[2:5] != b"\x02\x01\x00":
                name = "EC PRIVATE KEY"
            text = base64.encodebytes(der).decode()
            file.write(("-----BEGIN %s-----\n%s-----END %s-----\n" % (name, text, name)).encode())
        file.flush()
        context.load_cert_chain(file.name)


def _configure(fd, path, baud, parity, stop):
    """Raw bytes at `baud`, 8 data bits; a read never waits (VMIN=0): with VMIN=1 it would stop the event loop."""
    if baud not in BAUDS:
        raise ValueError("%s: no serial device here runs at %d baud" % (path, baud))
    speed = BAUDS[baud]
    control = speed | _CS8 | _CREAD | _CLOCAL | (_CSTOPB if stop == 2 else 0)
    if parity != "none":
        control |= _PARENB | (_PARODD if parity == "odd" else 0)
    try:
        attributes = termios.tcgetattr(fd)
    except _TERMIOS as error:
        raise OSError(error.args[0])
    attributes[0] = _INPCK | _IGNPAR if parity != "none" else 0  # a byte of wrong parity is left out, the CRC shows it
    attributes[1] = 0
    attributes[2] = control
    attributes[3] = 0
    attributes[4] = attributes[5] = speed
    attributes[6][_VMIN] = attributes[6][_VTIME] = 0
    try:
        termios.tcsetattr(fd, termios.TCSANOW, attributes)
    except _TERMIOS as error:
        if error.args[0] != _EINVAL:  # which glibc says of a parity that a pty hasn't got, if all else is as it was
            raise OSError(error.args[0])
    if termios.tcgetattr(fd)[5] != speed:
        raise OSError(_EIO)


if MICROPYTHON:
    import select

    from carbonterm_device.ports.streams import (
        CANCELS_LATE,
        console_lines,
        open_tcp,
        open_tls,
        sleep_ms,
        ticks_add,
        ticks_diff,
        ticks_ms,
        uncancel,
        wait_ms,
    )

    def reserve_polls(count):
        """Makes room for `count` descriptors in asyncio's poll set; to be called before the first TLS stream is in it.

        MicroPython 1.28 (extmod/modselect.c, poll_set_add_fd) moves the set's array when it has to grow, and adds the
        way it moved to the null pointers of streams without a descriptor as well, which TLS streams are: the next poll
        then reads a wild pointer, and the process dies. The array starts with four descriptors and never shrinks.
        """
        poller = asyncio.core._io_queue.poller
        files = [open("/dev/null") for _ in range(count)]  # noqa: SIM115 - they are all open at once
        for file in files:
            poller.register(file, select.POLLIN)
        for file in files:
            poller.unregister(file)
            file.close()

    def _readable(s):
        yield asyncio.core._io_queue.queue_read(s)

    async def listen_local(path, serve):
        """Awaits serve(reader, writer) in a task for each connection to the socket of the file system `path`, for
        ever. OSError where there can be none."""
        s, tasks = _bound(path), []
        try:
            while True:
                await _readable(s)
                link = s.accept()[0]
                link.setblocking(False)
                stream = asyncio.StreamReader(link)
                tasks = [task for task in tasks if not task.done()]
                tasks.append(asyncio.create_task(serve(stream, stream)))
        finally:
            s.close()
            os.remove(path)

    class _SerialLink:
        def __init__(self, device, path):
            self._device = device
            self._path = path
            self.read = asyncio.StreamReader(device).read
            self._room = select.poll()
            self._room.register(device, select.POLLOUT)

        def send(self, data):
            ready = self._room.poll(0)
            if not ready or not ready[0][1] & select.POLLOUT or self._device.write(data) != len(data):
                raise OSError(_EIO)

        def configure(self, baud, parity, stop):
            _configure(self._device.fileno(), self._path, baud, parity, stop)

        def discard(self):
            count = 0
            while True:
                data = self._device.read(256)
                if not data:
                    return count
                count += len(data)

        def close(self):
            self._device.close()

    def open_serial(path, baud, parity="none", stop=1):
        """A SerialLink: 8 data bits, parity "none", "even" or "odd", 1 or 2 stop bits. OSError, ValueError.

        MicroPython has no O_NOCTTY: in a process that leads a session and has no terminal (setsid, a systemd service's
        first process) the device becomes its controlling terminal, and pulling the adapter out ends it by SIGHUP. The
        launcher must start the firmware as a child of its own session.
        """
        device = open(path, "r+b")  # noqa: SIM115
        try:
            _configure(device.fileno(), path, baud, parity, stop)
            return _SerialLink(device, path)
        except BaseException:
            device.close()
            raise

else:

    def reserve_polls(count):
        """Nothing to do on CPython."""

    def ticks_ms():
        """Milliseconds of a clock that never jumps; only `ticks_diff` of two of them means anything."""
        return time.monotonic_ns() // 1000000

    def ticks_add(ticks, ms):
        return ticks + ms

    def ticks_diff(later, earlier):
        """Milliseconds from `earlier` to `later`."""
        return later - earlier

    def sleep_ms(ms):
        """Awaitable: lets other tasks run for `ms` milliseconds."""
        return asyncio.sleep(ms / 1000)

    async def wait_ms(event, ms):
        try:
            await asyncio.wait_for(event.wait(), ms / 1000)
        except asyncio.TimeoutError:
            pass

    CANCELS_LATE = False

    def uncancel(task):
        task.uncancel()

    class _FdLink:
        """Any file descriptor that does not block."""

        def __init__(self, fd, owner=None, path=None):
            self._fd = fd
            self._owner = owner
            self._path = path
            self._loop = asyncio.get_running_loop()

        async def read(self, n):
            ready = self._loop.create_future()
            self._loop.add_reader(self._fd, lambda: ready.done() or ready.set_result(None))
            try:
                await ready
            finally:
                self._loop.remove_reader(self._fd)
            return os.read(self._fd, n)

        def send(self, data):
            if os.write(self._fd, data) != len(data):
                raise OSError(_EAGAIN, "the other end has stopped reading")

        def configure(self, baud, parity, stop):
            _configure(self._fd, self._path, baud, parity, stop)

        def discard(self):
            count = 0
            while True:
                try:
                    data = os.read(self._fd, 256)
                except BlockingIOError:
                    return count
                if not data:
                    return count
                count += len(data)

        def close(self):
            if self._owner is not None:
                self._owner.close()
            else:
                os.close(self._fd)

    async def open_tcp(host, port):
        loop = asyncio.get_running_loop()
        family, kind, protocol, _, address = (await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM))[0]
        s = socket.socket(family, kind, protocol)
        try:
            s.setblocking(False)
            s.setsockopt(_IPPROTO_TCP, _TCP_NODELAY, 1)
            await loop.sock_connect(s, address)
        except BaseException:
            s.close()
            raise
        return _FdLink(s.fileno(), s)

    async def listen_local(path, serve):
        server = await asyncio.start_unix_server(serve, sock=_bound(path))
        try:
            await server.serve_forever()
        finally:
            os.remove(path)

    async def open_tls(host, port, context):
        return await asyncio.open_connection(host, port, ssl=context, server_hostname=host)

    def open_serial(path, baud, parity="none", stop=1):
        fd = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        try:
            _configure(fd, path, baud, parity, stop)
            return _FdLink(fd, path=path)
        except BaseException:
            os.close(fd)
            raise

    async def console_lines(handle):
        reader = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        line = b"\n"
        while line:
            line = await reader.readline()
            handle(line)
