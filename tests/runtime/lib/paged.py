"""A plant with a terminal that has a page, and a client of it: for tests of the page (CPython only)."""

import http.client
import json
import re
import urllib.parse

import entrance
from carbonterm.field import models
from carbonterm.gm import sm3
from carbonterm.gm.pbkdf2 import derive
from carbonterm.ledger import entry as entries
from carbonterm_host import bundles, site_yaml
from carbonterm_host.commands import pull
from carbonterm_host.commands.replay import replay
from carbonterm_host.firmware import Terminal
from carbonterm_host.simulate.meter import Meter
from carbonterm_host.simulate.site import Simulation
from carbonterm_host.simulate.tcp import TcpServer
from carbonterm_host.verifier import Verifier
from loopback import free_port

USERS = (("zhang", "administrator", "a secret of zhang"), ("wang", "operator", "a secret of wang"),
         ("li", "viewer", "a secret of li"))  # fmt: skip
TOKEN = "a token of a program"
FLAGS = ("--ignore-certificate-errors", "--host-resolver-rules=MAP * 127.0.0.1")  # of a browser
SITE = """\
terminal: CT-PAGE-1
name: 示范工厂
zone: "+08:00"
buses:
  - {name: lan, kind: modbus-tcp, host: 127.0.0.1, port: LAN, timeout: 20s}
  - {name: gas, kind: modbus-tcp, host: 127.0.0.1, port: GAS, timeout: 20s}
meters:
  - {name: M1, bus: lan, unit: 1, model: eastron-sdm630}
  - {name: G1, bus: gas, unit: 1, model: generic-gas-modbus}
points:
  - {name: E1, meter: M1, register: active_energy_import, every: 500ms, limit: "200000"}
  - {name: V1, meter: G1, register: volume, every: 500ms}
virtual:
  - {name: 一车间, apportion: E1, share: "0.6"}
  - {name: 二车间, apportion: E1, share: "0.4"}
nodes:
  - {name: 进线, class: distribution, meters: [M1]}
sources:
  - name: 外购电力
    method: cn-2015-other-industry
    source: purchased_electricity
    parameters: {AD: [一车间], EF: {value: "0.5703", unit: tCO2/MWh, source: "2022 年全国电网"}}
MORE
page: {listen: "127.0.0.1:WEB"}
settings: {closings: [minute, hour, day, month, year], commit: 50ms}
"""


def meters():
    """A Simulation of SITE's meters; more buses than it has."""
    rows = ("lan", "eastron-sdm630"), ("gas", "generic-gas-modbus"), ("other", "eastron-sdm630")
    return Simulation(
        [TcpServer(name, [Meter(name, 1, models.load(model), seed=at)]) for at, (name, model) in enumerate(rows)],
        seed=7, speed=60,
    )  # fmt: skip


def port(bus):
    return bus.describe()["port"]


class Plant:
    """A terminal that runs a site in `folder`; ports: of its two buses; more: further parts of the site."""

    def __init__(self, folder, ports, binary=None, more="", heap="8M", site=SITE):
        self.folder = folder
        self.page = free_port()
        words = (("LAN", ports[0]), ("GAS", ports[1]), ("WEB", self.page), ("MORE", more))
        text = site
        for name, value in words:
            text = text.replace(name, str(value))
        entrance.certificates(folder)
        self.site = site_yaml.compile_text(text)
        document = self.site.canonical()
        self.terminal = Terminal(folder / "terminal", document, binary=binary, heap=heap, maintenance=True)
        self.terminal.data.mkdir()
        for name, source in (("page.crt", "server.der"), ("page.key", "key.der")):
            (self.terminal.data / name).write_bytes((folder / source).read_bytes())
        (self.terminal.data / "page.users").write_text(users())

    def __enter__(self):
        self.terminal.start()
        self.terminal.wait(lambda status: status["entries"] > 2)
        return self

    def __exit__(self, *_):
        self.terminal.stop()

    def client(self, name=None):
        """A Client, logged in as a user."""
        made = Client(self.page, self.folder)
        if name:
            assert made.login(name)[0] == 303
        return made

    def log(self):
        """[Entry] of the stopped terminal, verified and replayed without a difference."""
        file = self.folder / "log.bundle"
        pull.to_file(self.terminal.data, file)
        verifier = Verifier()
        with open(file, "rb") as opened:
            verifier.read(opened)
        assert verifier.report()["ok"], verifier.report()
        found = bundles.read(file)
        assert replay(found.entries)[1] == []
        return [entries.decode(raw) for raw, _ in found.entries]


def users():
    """The text of the file of USERS and of the program whose token is TOKEN; few iterations: tests log in often."""
    salt = bytes(range(16))
    lines = [
        f"{name} {role} password 1000 {salt.hex()} {derive(password.encode(), salt, 1000).hex()}"
        for name, role, password in USERS
    ]
    return "\n".join([*lines, f"program viewer token {sm3.digest(TOKEN.encode()).hex()}", ""])


class Client:
    """What a browser does: a cookie, forms with their token."""

    def __init__(self, port, folder):
        self.port = port
        self.context = entrance.client_context(folder)
        self.cookie = None
        self._tokens = {}  # cookie: what forms of its session bring

    def ask(self, method, path, body=None, **headers):
        """(status, text or bytes, headers); a dict is sent as a form. Waits until somebody listens."""
        if isinstance(body, dict):
            body = urllib.parse.urlencode(body)
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        if self.cookie:
            headers.setdefault("Cookie", self.cookie)
        connection = entrance.wait(self._connected)
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            data = response.read()
        finally:
            connection.close()
        if response.headers.get("Set-Cookie"):
            self.cookie = response.headers["Set-Cookie"].split(";")[0]
        if response.headers.get("Content-Type", "").startswith(("text/", "application/json")):
            data = data.decode()
        return response.status, data, response.headers

    def _connected(self):
        made = http.client.HTTPSConnection("127.0.0.1", self.port, context=self.context, timeout=120)
        try:
            made.connect()
        except (ConnectionRefusedError, ConnectionResetError):
            return None
        return made

    def get(self, path):
        """The page's text."""
        status, text, _ = self.ask("GET", path)
        assert status == 200, (path, status, text[-500:])
        return text

    def login(self, name, password=None):
        secret = {row[0]: row[2] for row in USERS}.get(name, "")
        return self.ask("POST", "/login", {"name": name, "password": secret if password is None else password})

    def token(self):
        if self.cookie not in self._tokens:
            self._tokens[self.cookie] = re.search(r'name="token" value="(\w+)"', self.get("/"))[1]
        return self._tokens[self.cookie]

    def post(self, path, **words):
        """(status, text, headers) of a form of the page's."""
        return self.ask("POST", path, {"token": self.token(), **words})

    def send(self, path, *files, **words):
        """(status, text, headers) of a form with files: (input, name, bytes) each."""
        body, line = b"", b"--a line\r\nContent-Disposition: form-data; name="
        for name, text in {"token": self.token(), **words}.items():
            body += line + b'"%s"\r\n\r\n%s\r\n' % (name.encode(), text.encode())
        for name, title, data in files:
            body += line + b'"%s"; filename="%s"\r\n\r\n%s\r\n' % (name.encode(), title.encode(), data)
        kind = 'multipart/form-data; boundary="a line"'
        return self.ask("POST", path, body + b"--a line--\r\n", **{"Content-Type": kind})

    def inputs(self, path):
        """{name: text} of a form's inputs, as a browser would send them."""
        found = {}
        text = self.get(path)
        for name, value in re.findall(r'<input name="([^"]+)" value="([^"]*)"', text):
            found[name] = plain(value)
        for name, value in re.findall(r'<textarea name="([^"]+)"[^>]*>\n([^<]*)</textarea>', text):
            found[name] = plain(value)
        for name, options in re.findall(r'<select name="([^"]+)"[^>]*>(.*?)</select>', text):
            chosen = re.search(r'<option selected value="([^"]*)"', options)
            found[name] = plain(chosen[1]) if chosen else ""
        return found

    def edit(self, path, **words):
        """Changes some inputs of a row's form and saves it: (status, {input: what is wrong})."""
        given = {**self.inputs(path), **words, "do": "save"}
        status, text, _ = self.post(path.partition("?")[0], **given)
        field = r'<(?:input|select|textarea) name="([^"]+)"[^>]*class="wrong".*?<div class="bad">([^<]*)'
        wrong = re.findall(field, text, re.DOTALL)
        return status, dict(wrong) or ({"": plain(text)} if status == 422 else {})

    def row(self, part, name):
        """Path of the form of a row."""
        text = self.get("/configuration/" + part)
        for cells, path in re.findall(r'<tr>(.*?)href="(/configuration/\w+/\d+)"', text):
            if f">{name}<" in cells:
                return path
        raise AssertionError(f"{name} is not among the {part}")

    def force(self, reason="a test"):
        """Puts the draft in force; (status, text)."""
        return self.post("/draft", do="force", reason=reason)[:2]


def plain(text):
    for name, letter in (("&#39;", "'"), ("&quot;", '"'), ("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")):
        text = text.replace(name, letter)
    return text


UNREADABLE = """(() => {
    const found = [], range = document.createRange()
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
    const wide = document.documentElement.clientWidth
    if (document.documentElement.scrollWidth > wide) found.push(['', 'the page is wider than the screen'])
    while (walker.nextNode()) {
        const node = walker.currentNode
        range.selectNodeContents(node)
        const boxes = [...range.getClientRects()].filter((box) => box.width)
        if (!node.data.trim() || !boxes.length) continue
        if (parseFloat(getComputedStyle(node.parentElement).fontSize) < 12) found.push([node.data, 'small'])
        if (boxes.some((box) => box.left < 0 || box.right > wide + 0.5)) found.push([node.data, 'beside the screen'])
    }
    for (const one of document.body.querySelectorAll('*'))
        if (one.clientWidth && one.scrollWidth > one.clientWidth + 1) found.push([one.innerText, 'cut'])
    return found
})()"""


class Person:
    """What somebody does with a browser."""

    def __init__(self, chromium, plant):
        self.chromium = chromium
        self.address = f"https://127.0.0.1:{plant.page}"

    def go(self, path, there=None):
        self.chromium.open(self.address + path)
        self.there(there or path)

    def there(self, path):
        here = json.dumps(path)
        self.chromium.wait(f"document.readyState === 'complete' && location.pathname === {here} && "
                           "document.querySelector('main')")  # fmt: skip

    def fill(self, **words):
        for name, text in words.items():
            self.chromium.evaluate(f"document.querySelector('[name=\"{name}\"]').value = {json.dumps(text)}")

    def press(self, value=""):
        """Presses the button of the page's main part whose value it is, and waits for the page that follows."""
        self.chromium.evaluate("document.body.dataset.old = '1'")
        button = f"document.querySelector('main button[value=\"{value}\"]')"
        self.chromium.evaluate(f"void setTimeout(() => {button}.click(), 50)")  # its own page has to answer first
        self.chromium.wait("document.readyState === 'complete' && !document.body.dataset.old")

    def text(self):
        return self.chromium.evaluate("document.querySelector('main').innerText")

    def enter(self, name):
        """Logs one of USERS in."""
        self.go("/login")
        self.fill(name=name, password={row[0]: row[2] for row in USERS}[name])
        self.press()
        self.there("/")

    def seen(self, path, pattern):
        """Goes there, again and again, until the page's text has the pattern."""
        return entrance.wait(lambda: self.go(path) or re.search(pattern, self.text()))

    def bottom(self, selector):
        """Where on the screen what the selector names ends, in pixels from its top."""
        return self.chromium.evaluate(f"document.querySelector({json.dumps(selector)}).getBoundingClientRect().bottom")

    def unreadable(self):
        """[[text, why]] of what is cut, lies beside the screen or is smaller than 12 pixels."""
        return self.chromium.evaluate(UNREADABLE)

    def fits(self):
        """Whether nothing of the page lies beside the screen, narrow or wide, light or dark."""
        for width in (320, 1280):
            for dark in (False, True):
                self.chromium.look(width, dark)
                if self.chromium.evaluate("document.documentElement.scrollWidth") > width:
                    return False
        return True
