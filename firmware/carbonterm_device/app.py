"""The firmware: one task per bus, one that commits, one per centre, a heartbeat, and a console for who started it.

Crash-only: there is no shutdown to get wrong. SIGKILL, power loss and an error that reaches the top are the same thing,
and the next start recovers from the log. The console's "stop", and SIGTERM, only save the readers a torn tail: they end
the rounds, commit, let the centres catch up for a while and leave.
"""

import asyncio
import gc
import json

from carbonterm import site as sites
from carbonterm.clock import UNSET, parse
from carbonterm.errors import CarbonError, LedgerError, quoted
from carbonterm.field.places import INPUTS, SENDERS
from carbonterm.ledger import entry as entries
from carbonterm.ledger import room
from carbonterm.ledger.frames import segments, terminal_of
from carbonterm.ledger.segment import SEGMENT_SIZE, Log
from carbonterm.number import Number
from carbonterm_device import delivery, epochs, keys, release, witness
from carbonterm_device.acquisition import Acquisition
from carbonterm_device.clockwork import Clock
from carbonterm_device.failures import FAILURES, says
from carbonterm_device.journal import Journal
from carbonterm_device.ports import port
from carbonterm_device.recorder import Recorder, settling
from carbonterm_device.storage import Folder
from carbonterm_device.upkeep import Upkeep

DRAIN_MS = 15000
FIRST_MS, LONGEST_MS = 1000, 60000  # between attempts to go on with a storage that failed
SEARCHED = 2048  # entries that a start looks through for messages that came already
PAGE_POLLS = 256  # descriptors that a changed site document may need
SHORT_MS, SHORT_PAUSE_MS = 60000, 500  # memory may be short for so long, then a restart is better; between attempts
WITNESS_S = 3  # so long a start waits for the centres' word before it signs anything


class App:
    """One terminal on `storage`, configured by `document` (canonical site document, bytes), by `clock`."""

    def __init__(self, storage, document, clock, segment_size=SEGMENT_SIZE):
        self.site = sites.decode(document)
        owner = terminal_of(storage)
        if owner not in (None, self.site.terminal_id):
            raise LedgerError(
                "%s holds the log of %s, the site document is for %s" % (storage.path, owner, self.site.terminal_id),
                "give each terminal a data folder of its own",
            )
        self.storage = storage
        self.clock = clock
        terminal_id = self.site.terminal_id
        epoch, self._step = epochs.current(storage, terminal_id, port)
        past = []
        for one in sorted(set([row[0] for row in segments(storage)])):
            if one < epoch:
                past.append(epochs.seal(storage, terminal_id, one, port.random))
        self._segment_size = segment_size
        log = Log(storage, terminal_id, epoch, keys.load(storage, epoch), port.random, segment_size)
        self._past = past
        self._full = asyncio.Event()  # there is enough for a commit
        make = _recorder(self.site)
        self.terminal = make(log, clock, port.RUNTIME, self._full.set, self.site.settings.commit_bytes)
        self.terminal.relieve = self._relieve
        self._short = self._starved = None  # ticks since when commits find no memory; who found none last
        self._clock_news = None  # what the clock has shown and the log does not say yet
        self.found = log.size
        self.acquisitions, self.inboxes = [], []
        self.by_bus = [self.task_of(i, row) for i, row in enumerate(self.site.buses)]
        self.sort_tasks()
        self.deliveries = [self.courier(centre) for centre in self.site.centres]
        self.upkeep = Upkeep(self.terminal, self.site, self.deliveries, past, port)
        self.journal = Journal(self.terminal, self.deliveries, storage)
        self._again = port.ticks_ms()  # when to try a storage that failed again
        self._pause = FIRST_MS
        self.stopping = False
        self.readers, self.senders = [], []  # (acquisition, its task); (inbox or courier, its task)
        self.site_file = None  # what the next start reads
        self.release_file = None  # which firmware was installed
        self.desk = None
        self.desk_task = self.page_task = None
        self.against = []  # (centre's name, what its signed word says against the log)
        self.heap_peak = 0
        self.errors = []
        self.monitor = None

    async def run(self, status_file=None, console=False, maintenance=None):
        """Until the console says stop; returns 0. maintenance: path of the socket for people on the spot."""
        count = 24 + 4 * (len(self.acquisitions) + len(self.deliveries)) + 20 * len(self.inboxes)
        port.reserve_polls(count + (PAGE_POLLS if self.site.page else 0))
        self.show()
        if maintenance:
            self.desk_task = asyncio.create_task(self._guarded("maintenance", lambda: self._maintain(maintenance)))
        if console:
            self._listener = asyncio.create_task(port.console_lines(self._console))
        if self.site.settings.profile != sites.COLLECTOR:
            from carbonterm_device.monitor import Monitor  # a collector has no heap for it

            self.monitor = Monitor(self)
        if await self._may_sign():
            try:
                self._start()
            except OSError as error:
                self.terminal.fail(error)
            for one in self.acquisitions + self.deliveries + self.inboxes:
                self.begin(one)
            if self.monitor:
                self._recall = asyncio.create_task(self.monitor.recall(self._latest(), self.found))
        self._turned = port.ticks_ms()
        ticking = asyncio.create_task(self._guarded("commits", self._tick))
        port.tend_heap(2)
        beat, installed, pause = None, release.mark(self.release_file or ""), 0
        while not self.stopping:
            try:
                await port.sleep_ms(pause)
                pause = 0
                await self._full.wait()
                self._turned = port.ticks_ms()
                self._full.clear()
                self._turn()
                self._roomy()
            except MemoryError as error:
                self._cramped(error, "commit")
                pause = SHORT_PAUSE_MS
            now = port.ticks_ms()
            if beat is None or port.ticks_diff(now, beat) >= 1000:
                beat = now
                self._heartbeat(status_file)
                if installed and release.ousted(self.release_file, installed):
                    print("another version was installed: the next start runs it · 已安装其他版本，重启后生效")
                    self.stopping = True
        ticking.cancel()
        for acquisition in self.acquisitions:
            acquisition.stopping = True
        for _, task in self.readers:
            await task
        if not self.terminal.stopped:
            self.terminal.commit(True)
            self._wake()
            await self._drain()
        for _, sender in self.senders:
            sender.cancel()
        if maintenance:
            self.desk_task.cancel()
            await self.desk_task  # which takes its socket away
        self._heartbeat(status_file)
        return 0

    async def _tick(self):
        """Asks for a commit where none was for commit_ms. A task of its own, as waiting for a limited time takes memory
        each time, and leaves half of itself where there is none."""
        while True:
            longest = self.site.settings.commit_ms
            left = longest - port.ticks_diff(port.ticks_ms(), self._turned)
            if left <= 0:
                self._full.set()
                left = longest
            await port.sleep_ms(left)

    def task_of(self, index, row, driver=None):
        """What reads or hears bus number `index`; driver: of its line, where it is open already."""
        if row.kind in SENDERS:
            from carbonterm_device import inbound  # only who needs it pays for it

            return inbound.make(index, self.site, self.terminal, self.clock, port, self.storage)
        return Acquisition(index, self.site, driver or _driver(row), self.terminal, self.clock, port)

    def sort_tasks(self):
        """Tells the tasks of the buses by what they do."""
        for row, task in zip(self.site.buses, self.by_bus):
            into = self.inboxes if row.kind in SENDERS else self.acquisitions
            if task not in into:
                into.append(task)
        for tasks in (self.inboxes, self.acquisitions):
            tasks[:] = [task for task in tasks if task in self.by_bus]

    def courier(self, centre):
        """Who delivers to a centre of the site document."""
        return delivery.Courier(
            self._past + [self.terminal.log], centre, port, self._contradicted, clock=self.clock
        )

    def begin(self, one):
        """Starts the task of a bus or a courier."""
        reads = one in self.acquisitions
        name = "delivery" if one in self.deliveries else one.name
        (self.readers if reads else self.senders).append((one, asyncio.create_task(self._guarded(name, one.run))))

    def show(self, always=False):
        """Where somebody may look, the tasks of the buses keep what came last; opens the page of the site document."""
        if always or self.desk or self.site.page:
            for task in self.by_bus:
                if task.said is None:
                    task.said = {}
        if self.site.page and (self.page_task is None or self.page_task.done()):
            self.page_task = asyncio.create_task(self._guarded("page", self._serve))

    async def _serve(self):
        from carbonterm_device.page.server import Server  # few terminals have one

        await Server(self, port).run()

    async def _maintain(self, path):
        from carbonterm_device.maintenance import Desk  # code that a board without a way in need not hold

        self.show(True)
        desk = self.desk = Desk(self.site, _driver, self.by_bus, self.terminal, self.status, port, self.monitor)
        while True:
            try:
                await port.listen_local(path, desk.serve)
            except OSError as error:
                self.err("F903", "maintenance", "no socket at %s: %s" % (path, error))
                await port.sleep_ms(LONGEST_MS)

    def _turn(self):
        """One round of commit, and of what has to be done between commits."""
        terminal = self.terminal
        self._look_at_clock()
        terminal.commit()
        if terminal.failed:
            self._mend()
        elif not terminal.stopped:
            if self._step == epochs.ROTATE and self.clock.state != UNSET:
                try:
                    self._rotate()
                except MemoryError:
                    raise LedgerError("memory ended where an epoch began", "the next start goes on from there")
            if self.upkeep.due():
                try:
                    self.upkeep.look()
                except OSError as error:
                    terminal.fail(error)
        self._wake()

    def _cramped(self, error, name):
        """Memory ended in a round of commits or in a task: nothing is lost, and the next one tries again. Where commits
        find none for long, a fresh start is the way on, whose heap is in one piece: MemoryError, with the cause.
        Nothing here takes memory that there may not be."""
        self._starved = name
        if name == "commit":
            if self._short is None:
                self._short = port.ticks_ms()
            if port.ticks_diff(port.ticks_ms(), self._short) > SHORT_MS:
                raise error
        try:
            self._relieve()
        except MemoryError:
            return  # the next one

    def _roomy(self):
        """A round found memory: says that there was none."""
        self._short = None
        if self._starved:
            self.err("F902", self._starved, "memory ended; it goes on")
            self._starved = None

    def _relieve(self):
        """Ends the exchanges with the centres: their buffers are the most that can be had again. They begin anew after
        a pause, with smaller batches."""
        for pair in list(self.senders):
            courier, task = pair
            if courier in self.deliveries and task is not asyncio.current_task() and courier.relieve():
                task.cancel()
                self.senders.remove(pair)
                self.begin(courier)

    def _mend(self):
        """A storage that failed is tried again after a pause that doubles, once it has room for more than a word."""
        if port.ticks_diff(self._again, port.ticks_ms()) > 0:
            return
        try:
            free, total = self.storage.free()
            if free >= room.limits(total)[-1] >> 1:
                log = self.terminal.log
                self.terminal.resume(self.site, self._past_entries, self._previous(log))
                self._pause = FIRST_MS
                return
        except OSError as error:
            self.terminal.fail(error)
        self._again = port.ticks_add(port.ticks_ms(), self._pause)
        self._pause = min(2 * self._pause, LONGEST_MS)

    def _past_entries(self):
        return (raw for one, seq in epochs.tail(self._past) for raw, _ in one.entries(seq))

    def _previous(self, log):
        return epochs.previous(self.storage, log.terminal_id, log.epoch) if not log.size else None

    def _start(self):
        """What the log says, and the first entries of this start."""
        self.found = self.terminal.start(self.site, self._past_entries, self._previous(self.terminal.log))
        for raw in self._latest() if self.inboxes else ():
            for one in self.inboxes:
                one.recall(raw)
        if self.clock.simulated:
            self._say_simulated()
        if self.release_file:
            release.tell(self.terminal, self.storage, release.read(self.release_file))

    def _latest(self):
        """The last durable entries, for who has to know what came already."""
        left, found = SEARCHED, []
        for log in [self.terminal.log] + self._past[-1:]:
            found.insert(0, (log, max(log.kept, log.size - left)))
            left = max(0, left - log.size)
        return (raw for log, begin in found for raw, _ in log.entries(begin))

    async def _may_sign(self):
        """False where centres have shown, now or before, that the log at hand is not the only history of its epoch."""
        log = self.terminal.log
        self.against = witness.read(self.storage, log.epoch)
        self._weigh()

        async def ask(courier):
            word = await courier.contradiction(log, WITNESS_S)
            if word:
                self._contradicted(courier.name, word)

        if not self.terminal.stopped:
            for task in [asyncio.create_task(ask(courier)) for courier in self.deliveries]:
                await task
        return not self.terminal.stopped

    def _contradicted(self, name, reason):
        """A centre's signed word against the log being written; every later start knows it."""
        if name not in [one for one, _ in self.against]:
            self.against.append((name, reason))
            try:
                witness.write(self.storage, self.terminal.log.epoch, self.against)
            except OSError as error:
                self.err("F303", "witness", "the next start has to ask the centres again: %s" % says(error)[0])
        self._weigh()

    def _weigh(self):
        """Nothing more is signed in this epoch where as many centres speak against it as the site document wants."""
        why = witness.verdict(self.against, [centre.name for centre in self.site.centres], self.site.settings.stop)
        if why and not self.terminal.stopped:
            follows = self.terminal.log.epoch + 1
            self.terminal.stop(why + ". Way out: epoch %d, by the operator (docs/keys.md)" % follows)
            for acquisition in self.acquisitions:
                acquisition.stopping = True

    def _rotate(self):
        """Into the next epoch; a crash after any line leaves what `epochs.current` goes on from."""
        self._step = epochs.GO_ON
        terminal, old = self.terminal, self.terminal.log
        if terminal.stopped:
            return
        follows = old.epoch + 1
        if follows in keys.epochs(self.storage):
            signer = keys.load(self.storage, follows)
        else:
            signer = keys.make(self.storage, follows, port)
        seq = old.announce(self.clock.now_ms(), self.clock.state)
        terminal.succeed(epochs.next_body(old.terminal_id, old.epoch, seq, old.signer.public, signer, port.random))
        past = epochs.Past(self.storage, old.terminal_id, old.epoch)
        self._past.append(past)
        log = Log(self.storage, old.terminal_id, follows, signer, port.random, self._segment_size)
        terminal.go_on(log, (old.epoch, past.sealed, past.root))
        self.against = []
        for courier in self.deliveries:
            courier.add(log)

    def _forget_keys(self):
        """The key of an epoch that is over is erased when a centre holds the epoch whole, with its last checkpoint."""
        for courier in self.deliveries:
            for epoch in courier.delivered:
                if epoch < self.terminal.log.epoch:
                    keys.erase(self.storage, epoch)

    def _look_at_clock(self):
        self._clock_news = self._clock_news or self.clock.check()
        if self._clock_news:
            self.terminal.clock_set(*self._clock_news)
            self._clock_news = None

    def _wake(self):
        for sender in self.deliveries:
            sender.wake()

    async def _drain(self):
        end = port.ticks_add(port.ticks_ms(), DRAIN_MS)
        while port.ticks_diff(end, port.ticks_ms()) > 0 and not all([d.idle() for d in self.deliveries]):
            if self.clock.state == UNSET:
                return
            await port.sleep_ms(50)

    async def _guarded(self, name, run):
        """A task whose errors end only its own round: they are counted, said, and it begins again after a second.
        A failed write is not its own: the log says so at the next commit, and the terminal restarts."""
        pause = 0
        while True:
            try:
                await port.sleep_ms(pause)
                pause = 1000
                await run()
                return
            except asyncio.CancelledError:
                if self._meant(asyncio.current_task()):
                    return
            except MemoryError as error:
                self._cramped(error, name)
            except Exception as error:
                self.err("F902", name, str(error) or type(error).__name__)
                port.print_exception(error)

    def _meant(self, task):
        """Whether a task that was cancelled is to end. Those of buses and centres are let go of first; others are
        cancelled by what memory that ended has left of MicroPython's wait_for, and go on."""
        for rows in (self.readers, self.senders):
            for pair in rows:
                if pair[1] is task:
                    return self.stopping or not port.CANCELS_LATE
        return True

    def err(self, code, where, text):
        """Keeps what went wrong once, among the last errors of the status and by its code (docs/faults.md)."""
        self.errors = self.errors[-19:] + ["%s: %s" % (where, text)]
        if self.monitor:
            self.monitor.event(code, where, text)

    def _console(self, line):
        """A line of the console: "stop", "rotate", "clock OFFSET" (a test sets the clock: the system's plus OFFSET ms),
        "replaced POINT TIME LAST FIRST", "reset POINT TIME LAST FIRST" (an operator's word about a meter), "enter HEX"
        (a signed record, docs/manual.md). The end of the input means stop, so that no orphan is left."""
        words = line.split()
        if words == [b"rotate"]:
            self._step = epochs.ROTATE
        elif len(words) == 2 and words[0] == b"clock":
            self._simulate_clock(words[1])
        elif len(words) == 5 and words[0] in (b"replaced", b"reset"):
            self._exchanged([word.decode() for word in words])
        elif len(words) == 2 and words[0] == b"enter":
            self._enter(words[1].decode())
        elif line.strip() in (b"stop", b""):
            self.stop()

    def stop(self):
        """Ends the rounds: what was read is committed, centres catch up for a while, and `run` returns."""
        self.stopping = True
        self._full.set()

    def _exchanged(self, words):
        """Appends the operator's word, or keeps the reason why not among the errors of the status."""
        event, name, moment, last, first = words
        names = [point.name for point in self.site.points]
        try:
            if name not in names or self.site.points[names.index(name)].kind != sites.REGISTER:
                raise CarbonError("there is no running total %s" % quoted(name), "the site document has their names")
            kind = entries.REPLACED if event == "replaced" else entries.RESET
            self.terminal.exchanged(names.index(name), kind, parse(moment), Number(last), Number(first))
        except CarbonError as error:
            self.err("F903", "%s %s" % (event, name), str(error))

    def _enter(self, text):
        """Takes a signed record, or keeps the reason why not among the errors of the status."""
        from carbonterm_device import byhand  # most terminals have meters only

        try:
            byhand.take(self.terminal, text)
        except CarbonError as error:
            self.err("F903", "enter", str(error))

    def _simulate_clock(self, offset):
        try:
            offset = int(offset)
        except ValueError:
            return
        self.clock.simulate(offset)
        if self.terminal.site is not None:
            self._say_simulated()

    def _say_simulated(self):
        self.terminal.audit("clock", "simulated clock", "the system's time and %d ms" % self.clock.offset_ms)

    def _heartbeat(self, status_file):
        gc.collect()
        self.heap_peak = max(self.heap_peak, port.heap_used())
        try:
            self._forget_keys()
            self.journal.look()
            if self.monitor:
                self.monitor.look()
            if status_file:
                port.write_volatile(status_file, self.status())
        except OSError as error:
            self.err("F303", "heartbeat", says(error)[0])
        except MemoryError:  # what people see can wait for the next second, readings cannot
            gc.collect()
        except Exception as error:  # nor is a mistake in it a reason to stop
            self.err("F902", "heartbeat", str(error) or type(error).__name__)

    def status(self):
        """What a supervisor or a screen wants to know; texts, integers and lists only."""
        log = self.terminal.log
        points, sources = self.terminal.totals()
        return {
            "stopped": self.terminal.stopped, "against": self.against,
            "terminal": log.terminal_id, "epoch": log.epoch, "time_ms": self.clock.now_ms(), "zone": self.site.zone,
            "clock": self.clock.status(),
            "runtime": self.terminal.runtime,
            "entries": log.size, "sealed": log.sealed, "found": self.found, "readings": self.terminal.readings,
            "disagreements": self.terminal.disagreements, "heap_peak": self.heap_peak,
            "points": points, "sources": sources, "errors": self.errors,
            "alarms": self.upkeep.alarms() + [text for a in self.acquisitions for text in a.identification.alarms()]
            + [text for one in self.inboxes for text in one.alarms()],
            "storage": self.upkeep.status(),
            "buses": [a.status() for a in self.acquisitions], "inbound": [one.status() for one in self.inboxes],
            "centres": [d.status() for d in self.deliveries],
            "tasks": self.monitor.tasks() if self.monitor else [],
            "faults": self.monitor.faults() if self.monitor else [],
        }  # fmt: skip


def _recorder(site):
    """The class that records under a site document: a collector's does no more than that."""
    if site.settings.profile == sites.COLLECTOR:
        return Recorder
    settling()
    from carbonterm_device.terminal import Terminal  # a collector's image has none

    return Terminal


def _driver(row):
    if row.kind == "modbus-tcp":
        from carbonterm_device.network import TcpBus

        return TcpBus(row.address, row.port)
    if row.kind == INPUTS:
        from carbonterm_device.channels import Channels

        return Channels(row.address)
    from carbonterm_device.line import SerialLine

    return SerialLine(row.address, row.port, row.parity, row.stop, row.gap_ms)


def main(argv):
    """Command line of the unix port: --data FOLDER --site FILE [--status FILE] [--console] [--clock-offset MS]
    [--clock-source rtc|network|gnss] (what keeps the system's clock right, where the port can't find it out)
    [--segment-size BYTES] (of the log's files, 512 KiB; less where the storage has less than 16 MiB), [--maintenance
    SOCKET] (in the file system, for who may write it), [--release FILE] (which firmware was installed), or --desk
    [--site FILE]: questions of maintenance on stdin, or --data FOLDER --init [--entropy HEX | -] [--terminal ID
    --operator NAME [--epoch N --previous SIZE:ROOTHEX]], which makes the key and prints epoch, public half and the
    request for its registration as JSON, and ends."""
    from carbonterm_device.options import parsed, read  # a board has no command line

    port.tend_heap(16)
    options = parsed(argv)
    if "desk" in options:
        from carbonterm_device.maintenance import stdio

        return asyncio.run(stdio(read(options["site"]) if "site" in options else None, _driver))
    if "data" not in options or not ("site" in options or "init" in options):
        print(
            "usage: carbonterm_device --data FOLDER"
            " (--init [--entropy HEX] [--terminal ID --operator NAME [--epoch N --previous SIZE:ROOT]]"
            " | --site DOCUMENT [--status FILE] [--console] [--maintenance SOCKET] [--clock-offset MS]"
            " [--clock-source rtc|network|gnss] [--segment-size BYTES] [--release FILE])"
        )
        return 2
    if "init" in options:
        from carbonterm_device import provision

        print(json.dumps(provision.init(Folder(options["data"]), options, port)))
        return 0
    document = read(options["site"])
    clock = Clock(int(options.get("clock-offset", "0")), options.get("clock-source"))
    return asyncio.run(_live(options, document, clock))


async def _live(options, document, clock):
    """Runs the App; a storage that does not even let it begin is said in the status and tried again."""
    from carbonterm_device.ports import proc

    pause, status_file = FIRST_MS, options.get("status")
    while True:
        try:
            app = App(Folder(options["data"]), document, clock, int(options.get("segment-size", SEGMENT_SIZE)))
        except OSError as error:
            if error.errno not in FAILURES:
                raise
            what, way_out = says(error)
            print("nothing is recorded: %s. %s" % (what, way_out))
            if status_file:
                status = {"alarms": [what], "storage": {"failed": what, "do": way_out}, "time_ms": clock.now_ms()}
                port.write_volatile(status_file, status)
            if await proc.told_to_end(port, pause):
                return 0
            pause = min(2 * pause, LONGEST_MS)
        else:
            app.site_file = options["site"]
            app.release_file = options.get("release")
            heed = asyncio.create_task(proc.heed(port, app))
            try:
                return await app.run(status_file, "console" in options, options.get("maintenance"))
            finally:
                heed.cancel()
