"""Another site document while the terminal runs, without losing a reading.

What the document leaves as it is goes on undisturbed: buses with the same meters and points, centres. A bus that is
changed first finishes the rounds it has open (FINISH_MS at most), and the moments that fall due meanwhile are read as
soon as it begins again. Between the last reading under the old document and the `config` entry nothing waits, so each
reading stands in the log behind the document whose indices it has.

In the log: who asks for it (`audit`), then, when the file that starts read is replaced, the `config` entry and what
changed. A crash in between leaves the old file, or a start under the new one that writes its `config` entry itself.
"""

from carbonterm import site as sites
from carbonterm.errors import LedgerError, SiteError
from carbonterm_device.failures import says
from carbonterm_device.ports import port
from carbonterm_device.storage import Folder
from carbonterm_device.upkeep import Upkeep

FINISH_MS = 10000
LOOK_MS = 20


async def put_in_force(app, document, who, what):
    """Puts `document` (canonical bytes) in force in an App; who, what: name and reason for the log.

    SiteError where it is for another terminal, or its version is not above the one in force; LedgerError where nothing
    can be recorded, or the file that starts read cannot be replaced. Nothing has changed then.
    """
    site = sites.decode(document)
    if site.terminal_id != app.site.terminal_id:
        raise SiteError("this document is for %s, the terminal is %s" % (site.terminal_id, app.site.terminal_id),
                        "change no terminal's id: its log has it")  # fmt: skip
    if site.version <= app.site.version:
        raise SiteError("version %d is in force, this is version %d" % (app.site.version, site.version),
                        "give each change a greater version")  # fmt: skip
    if app.site_file is None:
        raise LedgerError("this terminal was started without a file for its site document", "start it with --site")
    _may_record(app)
    leaving = [
        one for index, one in enumerate(app.by_bus)
        if one in app.acquisitions and not unchanged(app.site, site, index)
    ]  # fmt: skip
    try:
        await _finish(app, leaving)
        _may_record(app)
        app.terminal.audit(who, "configuration", ("version %d: %s" % (site.version, what))[:200])
        app.terminal.commit()
        _may_record(app)
        try:
            _replace(app.site_file, document)
        except OSError as error:
            app.terminal.audit(who, "configuration", "version %d is not in force: %s" % (site.version, says(error)[0]))
            raise LedgerError("%s cannot be replaced: %s" % (app.site_file, says(error)[0]), says(error)[1])
        app.terminal.configure(site)
    except BaseException:  # whatever it was: who asked may have gone, memory may have ended
        _go_on(app, app.terminal.site, leaving)
        raise
    _go_on(app, site, leaving)


def unchanged(old, new, index):
    """Whether bus number `index` is the same in two Sites, with all its meters and points, and their indices."""
    if max(index + 1 - len(old.buses), index + 1 - len(new.buses)) > 0 or old.zone != new.zone:
        return False
    return _of_bus(old, index) == _of_bus(new, index)


def _of_bus(site, index):
    meters = [at for at in range(len(site.meters)) if site.meters[at].bus == index]
    points = [at for at in range(len(site.points)) if site.points[at].meter in meters]
    found = [[at, site.meters[at].canonical()] for at in meters] + [[at, site.points[at].canonical()] for at in points]
    return [site.buses[index].canonical()] + found


def _may_record(app):
    terminal = app.terminal
    if terminal.site is None or terminal.stopped or terminal.failed:
        why = terminal.failed[0] if terminal.failed else terminal.stopped or "the terminal has not begun"
        raise LedgerError("nothing is recorded now: " + why, "see the status")


async def _finish(app, leaving):
    """Lets acquisitions end the rounds they have open, or after FINISH_MS the request."""
    for one in leaving:
        one.finishing = True
    end = port.ticks_add(port.ticks_ms(), FINISH_MS)
    tasks = [task for one, task in app.readers if one in leaving]
    while not all([task.done() for task in tasks]):
        if port.ticks_diff(end, port.ticks_ms()) <= 0:
            for one in leaving:
                one.stopping = True
        await port.sleep_ms(LOOK_MS)


def _replace(path, document):
    folder, _, name = path.rpartition("/")
    Folder(folder or ("/" if path[:1] == "/" else ".")).replace(name, document)


def _go_on(app, site, leaving):
    """As _rebuild; where memory ends in it, only a start can begin what is half begun, and has the document."""
    try:
        _rebuild(app, site, leaving)
    except MemoryError:
        app.stop()
        raise


def _rebuild(app, site, leaving):
    """Gives the App the tasks of `site`, of which those that it has already go on; nothing waits in here."""
    old, before, centres = app.site, list(app.by_bus), app.site.centres
    app.site = site
    kept = [index for index in range(len(site.buses)) if unchanged(old, site, index) and before[index] not in leaving]
    gone = [before[index] for index in range(len(before)) if index not in kept]
    for one, task in list(app.readers) + list(app.senders):
        if one in gone:
            task.cancel()
            _drop((app.readers, app.senders), one)
    app.by_bus[:] = [before[index] if index in kept else None for index in range(len(site.buses))]
    for index in kept:
        before[index].site = site
    lines = {row.name: row.canonical() for row in site.buses}
    spare = {}  # drivers of lines that stay as they are, by name
    for one in gone:
        driver = getattr(one, "driver", None)
        if driver is not None and lines.get(one.name) == one.bus.canonical():
            spare[one.name] = driver
        elif driver is not None:
            driver.close()
    made = []
    for index, row in enumerate(site.buses):
        if index not in kept:
            app.by_bus[index] = app.task_of(index, row, spare.get(row.name))
            made.append(app.by_bus[index])
            for former in gone:
                if former.name == row.name and type(former) is type(made[-1]):
                    made[-1].take_over(former)
    app.sort_tasks()
    _couriers(app, centres, site)
    app.upkeep = Upkeep(app.terminal, site, app.deliveries, app.upkeep.past, port)
    if app.desk:
        app.desk.site = site
    app.show()
    for one in made:
        app.begin(one)


def _couriers(app, centres, site):
    before = {one.name: one for one in app.deliveries}
    known = [row.canonical() for row in centres]
    app.deliveries[:] = [
        before[row.name] if row.canonical() in known and row.name in before else app.courier(row)
        for row in site.centres
    ]
    for one, task in list(app.senders):
        if one in before.values() and one not in app.deliveries:
            task.cancel()
            _drop((app.senders,), one)
    for one in app.deliveries:
        if one not in before.values():
            app.begin(one)


def _drop(lists, one):
    for rows in lists:
        rows[:] = [row for row in rows if row[0] is not one]
