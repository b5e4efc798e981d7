"""The offline page that verifies a bundle in a browser, made of the core itself and MicroPython's WebAssembly port.

The port is fetched from npm when the page is made, in one version, checked against its SHA-512, and put into the page
with the core's files: the page needs no network and no server.
"""

import base64
import hashlib
import json
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

import carbonterm
import carbonterm_host
from carbonterm_host.screen import UNREACHABLE, Failure

PACKAGE = "@micropython/micropython-webassembly-pyscript"
VERSION = "1.27.0"
SHA512 = "DnXx4EqxgkeaFESrS3uKrL7mLMk4mRTd0mMzaOd3HUSiZUOAE7t11uLnjf3ftF87N2xm4knHnWEKcVK4IYIUDA=="
FILE = f"micropython-micropython-webassembly-pyscript-{VERSION}.tgz"
# of the core and the host, what verifying and replaying a log loads
MODULES = (
    "carbonterm/*", "carbonterm/accounting/*", "carbonterm/field/*", "carbonterm/gm/*", "carbonterm/ledger/*",
    "carbonterm/series/*",
    "carbonterm/uplink/*", "carbonterm_host/__init__", "carbonterm_host/authority", "carbonterm_host/single_proof",
    "carbonterm_host/times", "carbonterm_host/verifier",
)  # fmt: skip


def package(cache):
    """Bytes of the npm package, from the folder `cache` or from npm; Failure where it cannot be had or is another."""
    kept = Path(cache) / FILE
    if not kept.exists():
        npm = shutil.which("npm")
        way = f"install npm, or put the package there yourself: npm pack {PACKAGE}@{VERSION}"
        if npm is None:
            raise Failure(UNREACHABLE, f"the page needs {FILE}, which is not in {cache}, and npm is not here", way)
        with tempfile.TemporaryDirectory() as folder:
            command = [npm, "pack", f"{PACKAGE}@{VERSION}", "--silent", "--pack-destination", folder]
            done = subprocess.run(command, capture_output=True, text=True, timeout=300)
            fresh = Path(folder) / FILE
            if done.returncode or not fresh.exists():
                said = (done.stderr or done.stdout).strip().split("\n")[-1]
                raise Failure(UNREACHABLE, f"npm could not fetch {PACKAGE}@{VERSION}: {said}", way)
            kept.parent.mkdir(parents=True, exist_ok=True)
            new = kept.with_suffix(".new")
            new.write_bytes(fresh.read_bytes())
            new.replace(kept)
    data = kept.read_bytes()
    if base64.b64encode(hashlib.sha512(data).digest()).decode() != SHA512:
        raise Failure(UNREACHABLE, f"{kept} is not {PACKAGE} {VERSION} as published", "remove it and try again")
    return data


def page(data):
    """The page's text; data: the npm package."""
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.seek(0)
        with tarfile.open(fileobj=file, mode="r:gz") as archive:
            module = archive.extractfile("package/micropython.mjs").read().decode()
            wasm = archive.extractfile("package/micropython.wasm").read()
    files = _files()
    folders = sorted({str(Path(name).parent) for name in files} - {"/lib"})
    here = Path(__file__).parent / "page"
    parts = (
        "(async () => {",
        _classic(module),
        f"const WASM = {json.dumps(base64.b64encode(wasm).decode())};",
        f"const FOLDERS = {json.dumps(folders)};",
        f"const FILES = {json.dumps(files)};",
        (here / "worker.js").read_text(encoding="utf-8"),
        "})();",
    )
    machine = "\n".join(parts).replace("</script", "<\\/script")
    html = (here / "verify.html").read_text(encoding="utf-8")
    html = html.replace("%VERSION%", carbonterm.__version__).replace("%RUNTIME%", VERSION)
    return html.replace("%MACHINE%", machine)


def _classic(module):
    """The port's module text for a classic script: a browser starts no module worker for a page of a local file."""
    for old, new in (
        ("import.meta.url", "self.location.href"),
        ("export default _createMicroPythonModule;", ""),
        ("export async function loadMicroPython", "async function loadMicroPython"),
    ):
        if old not in module:
            raise Failure(UNREACHABLE, f"MicroPython's module has no {old}", f"use {PACKAGE} {VERSION}")
        module = module.replace(old, new)
    return module


def _files():
    """{path in the page's file system: text} of MODULES."""
    roots = {"carbonterm": Path(carbonterm.__file__).parent, "carbonterm_host": Path(carbonterm_host.__file__).parent}
    files = {}
    for pattern in MODULES:
        top, rest = pattern.split("/", 1)
        for path in sorted(roots[top].glob(rest + ".py")):
            files[f"/lib/{top}/{path.relative_to(roots[top])}"] = path.read_text(encoding="utf-8")
    return files
