"""The offline page in a real browser: it verifies what is right, nothing else, and asks the network for nothing."""

import itertools
import json
import subprocess
from pathlib import Path

import pytest

import rotated
import sites
from carbonterm.gm import sm2
from carbonterm.ledger import checkpoint
from carbonterm_host import browser, bundles
from carbonterm_host.commands.verify import tools
from carbonterm_host.screen import Failure
from carbonterm_host.verifier import VERDICTS, Verifier
from chromium import Chromium, find
from logs import HOUR, Written
from memory_storage import MemoryStorage
from shell import carbonterm, pulled

SIGNER = sm2.Signer(bytes(31) + b"\x07")
T0 = 1767196800000
CACHE = Path(__file__).parent.parent.parent / "build" / "wasm"
DONE = "['good', 'bad', 'open', 'fail'].includes(document.getElementById('word').dataset.state)"


def small():
    """A bundle of 40 entries with figures of two hours."""
    storage = MemoryStorage()
    made = Written(storage, SIGNER, sites.document(), T0)
    for i in range(25):
        made.readings(T0 + i * HOUR // 10, [(point, 0, 0, -2, 1000 + i * 30) for point in range(3)])
        made.log.commit()
        if i % 2:
            made.log.checkpoint()
    made.log.checkpoint()
    return pulled(storage, "CT-TEST-1")


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    if find() is None:
        pytest.skip("chromium is not installed")
    file = tmp_path_factory.mktemp("page") / "verify.html"
    code, out, err = carbonterm("verifier", "-o", file, "--cache", CACHE, "--json")
    if code == 3:
        pytest.skip(err or out)
    assert code == 0 and json.loads(out)["bytes"] < 2000000
    return file


@pytest.fixture(scope="module")
def chromium(page, tmp_path_factory):
    with Chromium(tmp_path_factory.mktemp("profile")) as one:
        one.open(page)
        one.wait("document.getElementById('word') && document.getElementById('word').dataset.state === 'ready'")
        yield one


def checked(chromium, path):
    """(state, the page's words) after a file was given to it."""
    chromium.choose("#file", path)
    chromium.wait(f"{DONE} && document.getElementById('result').innerText.includes({json.dumps(path.name)})")
    words = chromium.evaluate("document.querySelector('main').innerText")
    return chromium.evaluate("document.getElementById('word').dataset.state"), words


@pytest.mark.slow
@pytest.mark.requirement("T-11.12-1", part="a log verified in a browser, without a network")
def test_verified_and_not(chromium, tmp_path):
    data = small()
    (tmp_path / "good.bundle").write_bytes(data)
    state, words = checked(chromium, tmp_path / "good.bundle")
    assert state == "good", words
    assert "CT-TEST-1" in words and SIGNER.public.hex() in words and "tCO2e" in words
    for number, at in enumerate((30, len(data) // 3, len(data) // 2, len(data) - 2)):
        bad = bytearray(data)
        bad[at] ^= 1
        (tmp_path / f"bad{number}.bundle").write_bytes(bad)
        state, words = checked(chromium, tmp_path / f"bad{number}.bundle")
        assert state == "bad", (at, words)
    for name, content in (("empty", b""), ("zip", b"PK\x03\x04" + bytes(1000)), ("bomb", data[:20] + b"\xff" * 50)):
        (tmp_path / name).write_bytes(content)
        assert checked(chromium, tmp_path / name)[0] == "bad"
    assert not chromium.errors
    assert [url for url in chromium.requests if not url.startswith(("file:", "blob:", "data:"))] == []


@pytest.mark.slow
def test_a_proof_in_the_page(chromium, tmp_path):
    (tmp_path / "a.bundle").write_bytes(small())
    assert carbonterm("prove", tmp_path / "a.bundle", 3, "-o", tmp_path / "a.proof")[0] == 0
    state, words = checked(chromium, tmp_path / "a.proof")
    assert state == "good" and "0/3" in words
    data = bytearray((tmp_path / "a.proof").read_bytes())
    data[100] ^= 1
    (tmp_path / "b.proof").write_bytes(data)
    assert checked(chromium, tmp_path / "b.proof")[0] == "bad"


@pytest.mark.slow
def test_narrow_wide_and_both_languages(chromium, tmp_path):
    (tmp_path / "wide.bundle").write_bytes(small())
    checked(chromium, tmp_path / "wide.bundle")
    seen = set()
    for _ in range(2):
        for width in (320, 1280):
            for dark in (False, True):
                chromium.look(width, dark)
                assert chromium.evaluate("document.documentElement.scrollWidth") <= width
                chromium.evaluate("new Promise((done) => requestAnimationFrame(done))")
        seen.add(chromium.evaluate("document.getElementById('word').textContent"))
        chromium.evaluate("document.getElementById('language').click()")
    assert seen == {"verified", "核验通过"}


@pytest.mark.slow
@pytest.mark.requirement("T-11.12-1", part="a log of several keys verified in a browser, against what the reader knows")
def test_what_the_reader_knows(chromium, tmp_path):
    file, numbers = rotated.log(tmp_path), itertools.count()

    def entered(**texts):
        for name in ("operators", "keys", "centres", "heads"):
            chromium.evaluate(f"document.getElementById('{name}').value = {json.dumps(texts.get(name, ''))}")
        again = tmp_path / f"{next(numbers)}.bundle"  # the page shows the name, so that its answer is the one to this
        again.write_bytes(file.read_bytes())
        return checked(chromium, again)

    try:
        state, words = entered()
        assert state == "good" and "0: 2 · " in words
        assert words.count("op.example") == 1
        operator, other = rotated.OPERATOR.public.hex(), rotated.OTHER.public.hex()
        given = chromium.evaluate("TEXTS[language].yours")
        for texts, wanted in (
            ({"operators": f"op.example:{operator}"}, 3), ({"operators": f"{other}, {operator}"}, 3),
            ({"keys": rotated.KEYS[0].public.hex()}, 3),
        ):  # fmt: skip
            state, words = entered(**texts)
            assert state == "good" and words.count(given) == wanted, words
        for texts in ({"operators": other}, {"keys": other}):
            assert entered(**texts)[0] == "bad"
        text = bundles.read(file).checkpoints[-1]
        head = checkpoint.parse(text)
        assert entered(heads=text + "\n" + bundles.read(file).checkpoints[0])[0] == "good"
        body = checkpoint.body("T1", 2, head.size - 1, bytes(32))
        signer = rotated.KEYS[2]
        assert entered(heads=checkpoint.signed(body, head.name, signer.public, signer.sign))[0] == "bad"
        body = checkpoint.body("T1", 2, head.size + 1, bytes(32))
        assert entered(heads=checkpoint.signed(body, head.name, signer.public, signer.sign))[0] == "open"
        chromium.evaluate("document.getElementById('heads').value = 'carbonterm/no checkpoint'")
        chromium.choose("#file", file)
        chromium.wait("document.getElementById('word').dataset.state === 'fail'")
        assert "checkpoint" in chromium.evaluate("document.getElementById('result').innerText")
        chromium.evaluate("document.getElementById('heads').value = ''")
        chromium.evaluate("document.getElementById('keys').value = 'notHex'")
        chromium.choose("#file", file)
        chromium.wait("!document.getElementById('mistake').hidden")
        assert "notHex" in chromium.evaluate("document.getElementById('mistake').innerText")
        assert not chromium.errors
    finally:
        entered()


def test_a_package_that_is_another_is_refused(tmp_path, monkeypatch):
    (tmp_path / browser.FILE).write_bytes(b"not it")
    with pytest.raises(Failure, match="as published"):
        browser.package(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Failure, match="npm is not here"):
        browser.package(tmp_path / "none")


@pytest.mark.slow
def test_the_verifier_is_the_same_on_micropython(tmp_path):
    """What the page runs, on the MicroPython of this machine: the same report as CPython's."""
    import runtimes

    (tmp_path / "a.bundle").write_bytes(small())
    for path in browser.MODULES:
        assert path.startswith("carbonterm"), path
    for name, text in browser._files().items():
        target = tmp_path / name.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    script = (
        "import sys, json\nsys.path.insert(0, sys.argv[1] + '/lib')\nfrom carbonterm_host.verifier import Verifier\n"
        "one = Verifier()\nwith open(sys.argv[1] + '/a.bundle', 'rb') as file:\n    one.read(file)\n"
        "print(json.dumps(one.report()))\n"
    )
    (tmp_path / "run.py").write_text(script)
    try:
        command, env = runtimes.command("micropython")
    except runtimes.Unavailable as reason:
        pytest.skip(str(reason))
    done = subprocess.run([*command, tmp_path / "run.py", tmp_path], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    one = Verifier(**tools("core"))
    with bundles.open_bundle(tmp_path / "a.bundle") as file:
        one.read(file)
    assert json.loads(done.stdout) == json.loads(json.dumps(one.report())) and one.report()["ok"]
    assert set(one.verdicts) == set(VERDICTS)
