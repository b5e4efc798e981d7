"""A USB stick at the terminal (10.2.2): the log goes out to it, a site document comes in from it, as files of a folder.

`page.stick` in the data folder says where sticks are mounted. What goes out is a folder of the log's own files, signed
as they are, with the site document and the evidence; `carbonterm pull` reads it like a data folder. Keys and users stay
here. What comes in is a draft like an uploaded document: nothing holds before an administrator puts it in force.
"""

import asyncio
import os

from carbonterm import clock
from carbonterm.errors import AccessError, CarbonError
from carbonterm_device.page.html import both, box, button, escape, hidden, section
from carbonterm_device.page.server import MAX_UPLOAD, Refused, to

ADMINISTRATOR = 2
PLACE = "page.stick"  # file of the data folder
# in this order: a checkpoint is of entries that were there before, so the segments come last
ENDS = (".pub", ".reg", ".rev", ".end", ".rcp", ".ckp", ".evidence", ".seg")
PIECE = 16384
_FOLDER = 0x4000  # S_IFDIR


class Stick:
    """taken(document) gives a draft of a document, or raises CarbonError."""

    def __init__(self, server, taken):
        self._server, self._app, self._taken = server, server.app, taken
        self._task = None
        self.told = ""  # of the export that runs or ran
        for path, handler, method in (("/stick", self._show, "GET"), ("/stick", self._act, "POST")):
            server.route(path, handler, ADMINISTRATOR, method)

    async def _show(self, _, session):
        return self._server.answer(("U 盘", "USB stick"), session, self._parts(session), "/configuration")

    async def _act(self, request, session):
        words = request.g.form
        if words.get("do") == "import":
            name = words.get("name", "")
            folder = self.folder()
            if name not in documents(folder):
                raise Refused(404, "there is no such document on the stick · U 盘上没有该文件")
            try:
                with open(folder + "/" + name, "rb") as file:
                    data = file.read(MAX_UPLOAD + 1)
            except OSError as error:
                raise Refused(400, "%s cannot be read: %s" % (name, error))
            session.draft = self._taken(data)
            self._server.audit(session.user.name, "took %s from the stick as a draft" % name[:100])
            return to("/draft")
        if words.get("do") != "export":
            raise Refused(400, "this form is not from this page")
        if self._task is not None and not self._task.done():
            raise Refused(409, "an export is being written · 正在导出")
        folder = self.folder()
        self.told = "…"
        self._task = asyncio.create_task(self._export(folder, session.user.name))
        return to("/stick")

    def folder(self):
        """Where the stick is; AccessError where there is none."""
        storage = self._app.storage
        try:
            path = storage.read(PLACE, 0, 255).decode().strip()
        except (OSError, ValueError):
            raise AccessError("nobody said where sticks are mounted", "carbonterm page stick FOLDER --to DATA")
        try:
            if os.stat(path)[0] & _FOLDER:
                return path
        except OSError:
            pass
        raise AccessError("there is no stick at %s" % path, "plug one in, formatted and mounted there · 请插入 U 盘")

    async def _export(self, path, who):
        """Copies the log to a new folder of the stick; what happens is told on the page and in the log."""
        app = self._app
        stamp = clock.text(app.clock.now_ms(), app.site.zone)[:19].replace(":", "").replace("T", "-")
        name = "%s-%s" % (app.site.terminal_id, stamp)
        try:
            count, size = await self._copied(path + "/" + name)
            self.told = "%s: %d files, %d bytes · 已导出，可以拔出" % (name, count, size)
            self._server.audit(who, "exported %d files, %d bytes to the stick: %s" % (count, size, name))
        except (OSError, CarbonError, MemoryError) as error:  # a stick that is full, or was pulled out: it goes on
            self.told = "%s is not whole: %s · 导出失败" % (name, error)
            self._server.audit(who, "an export to the stick failed: %s" % error)

    async def _copied(self, target):
        """(files, bytes) written to a new folder."""
        storage, count, total = self._app.storage, 0, 0
        self._app.terminal.commit(True)  # what goes out is all there is, under a checkpoint
        names = [name for end in ENDS for name in sorted(storage.names()) if name.endswith(end)]
        wanted = sum([storage.size(name) for name in names])
        found = os.statvfs(target[: target.rfind("/")])
        if found[4] * found[1] < wanted + (1 << 20):
            raise AccessError("%d bytes are to be written, %d are free" % (wanted, found[4] * found[1]), "take another")
        os.mkdir(target)
        with open(target + "/site.bin", "wb") as file:
            _written(file, self._app.site.canonical())
        for name in names:
            try:
                size = storage.size(name)
            except OSError:  # dropped meanwhile, as the log's limits say
                continue
            with open(target + "/" + name, "wb") as file:
                for at in range(0, size, PIECE):
                    file.write(storage.read(name, at, min(PIECE, size - at)))
                    total += min(PIECE, size - at)
                    self.told = "%d / %d bytes …" % (total, wanted)
                    await asyncio.sleep(0)
                _written(file, b"")
            count += 1
        return count, total

    def _parts(self, session):
        try:
            folder = self.folder()
            names, own = documents(folder), os.stat(folder)[2] == os.stat(self._app.storage.path)[2]  # st_dev
        except (AccessError, OSError) as error:
            yield box(escape(str(error)), True)
            return
        if own:
            words = both("与数据在同一磁盘：U 盘可能未挂载", "this is the terminal's own disk: is a stick mounted?")
            yield box(words, True)
        if self.told:
            yield box(escape(self.told) + ' <a href="/stick">%s</a>' % both("刷新", "refresh"))
        yield section("导出日志", "export the log")
        form = '<form method="post" action="/stick">%s%s%s</form>'
        yield form % (hidden(session), "", button("导出到 U 盘", "export to the stick", value="export"))
        yield section("导入站点文档", "import a site document")
        if not names:
            yield box(both("U 盘上没有 .bin 文件", "no file *.bin of 'carbonterm site check -o' is on the stick"))
        for name in names:
            field = '<input type="hidden" name="name" value="%s"><b>%s</b> ' % (escape(name), escape(name))
            yield form % (hidden(session), field, button("导入为草稿", "import as a draft", value="import", plain=True))
        yield '<p><a href="/configuration">%s</a></p>' % both("返回配置", "back to the configuration")


def documents(path):
    """Names of what may be site documents, at the top of a stick."""
    try:
        return sorted([name for name in os.listdir(path) if name.endswith(".bin") and name[:1] != "."])
    except OSError:
        return []


def _written(file, data):
    """Writes the end of a file, down to the stick."""
    file.write(data)
    file.flush()  # MicroPython's is fsync(2)
    if hasattr(os, "fsync"):
        os.fsync(file.fileno())
