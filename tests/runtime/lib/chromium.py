"""A headless Chromium for tests, driven over its DevTools pipe: no port, no driver program, no library.

`Chromium(folder)` as a context manager; `open(path)`, `evaluate(text)`, `choose(selector, path)`, `wait(text)`,
`screenshot(path, width, dark)`. On CPython only.
"""

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import time

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-dev-shm-usage", "--disable-sync", "--disable-extensions", "--host-resolver-rules=MAP * ~NOTFOUND",
)  # fmt: skip
LIMIT = 120  # seconds for one answer


def find():
    """Path of the program, or None."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class Chromium:
    """One page. folder: fresh, for its profile; flags: further ones of its command line. `requests`: every address the
    page asked for; `errors`: what it threw or logged as an error."""

    def __init__(self, folder, flags=()):
        self.folder = folder
        self.flags = flags
        self.requests, self.errors = [], []
        self._number = 0
        self._held = b""

    def __enter__(self):
        there, self._out = os.pipe()
        self._in, here = os.pipe()
        high = [fcntl.fcntl(one, fcntl.F_DUPFD_CLOEXEC, 10) for one in (there, here)]

        def pipes():  # Chromium reads commands from 3 and answers on 4
            os.dup2(high[0], 3)
            os.dup2(high[1], 4)

        self._process = subprocess.Popen(
            [find(), *FLAGS, *self.flags, f"--user-data-dir={self.folder}", "--remote-debugging-pipe", "about:blank"],
            pass_fds=(3, 4), preexec_fn=pipes, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        for one in high:
            os.close(one)
        os.close(there)
        os.close(here)
        self._session = None
        targets = self.call("Target.getTargets")["targetInfos"]
        page = next(one["targetId"] for one in targets if one["type"] == "page")
        self._session = self.call("Target.attachToTarget", targetId=page, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "DOM"):
            self.call(domain + ".enable")
        return self

    def __exit__(self, *_):
        os.close(self._out)
        os.close(self._in)
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def call(self, method, **params):
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._message()
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']['message']}")
                return answer["result"]
            if answer.get("method") == "Network.requestWillBeSent":
                self.requests.append(answer["params"]["request"]["url"])
            elif answer.get("method") == "Runtime.exceptionThrown":
                self.errors.append(answer["params"]["exceptionDetails"]["text"])

    def _message(self):
        end = time.monotonic() + LIMIT
        while b"\0" not in self._held:
            if not select.select([self._in], [], [], max(0, end - time.monotonic()))[0]:
                raise RuntimeError(f"Chromium did not answer within {LIMIT} s")
            data = os.read(self._in, 1 << 20)
            if not data:
                raise RuntimeError("Chromium ended")
            self._held += data
        message, _, self._held = self._held.partition(b"\0")
        return json.loads(message)

    def open(self, path):
        """A file's path, or an address."""
        self.call("Page.navigate", url=path if isinstance(path, str) else path.as_uri())

    def evaluate(self, text):
        found = self.call("Runtime.evaluate", expression=text, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in found:
            raise RuntimeError(found["exceptionDetails"]["exception"].get("description", text))
        return found["result"].get("value")

    def wait(self, text):
        """Waits until an expression is true, looking each time the page has painted."""
        end = time.monotonic() + LIMIT
        look = f"new Promise((done) => setTimeout(() => done(Boolean({text})), 50))"
        while not self._looked(look):
            if time.monotonic() > end:
                raise RuntimeError(f"not true within {LIMIT} s: {text}")

    def _looked(self, look):
        try:
            return self.evaluate(look)
        except RuntimeError as error:  # the page is left for the next one just now
            if "navigated" in str(error) or "context was destroyed" in str(error):
                return False
            raise

    def choose(self, selector, path):
        """Gives a file to a file input, as the picker would."""
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.call("DOM.setFileInputFiles", files=[str(path)], nodeId=node)

    def look(self, width, dark=False, height=800):
        """The screen's size in CSS pixels, light or dark. One that is upright and narrow is a telephone's."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < min(600, height)}
        self.call("Emulation.setDeviceMetricsOverride", **size)
        feature = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[feature])

    def screenshot(self, path):
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))
