"""The users of a terminal's page: their file, their passwords' verifiers."""

import pytest

from carbonterm.errors import AccessError
from carbonterm.gm.pbkdf2 import Pbkdf2, derive
from carbonterm.users import check_name, parse
from seeded import Random

# openssl kdf -keylen 32 -kdfopt digest:SM3 -kdfopt pass:… -kdfopt salt:… -kdfopt iter:… PBKDF2
VERIFIERS = (
    (b"password", b"salt", 2000, "acb2277bb22020fc190c6ba3d52e4c8020fedad06f84578ec12282c209e0d3a7"),
    (b"x" * 100, bytes(range(16)), 3, "a4200ef495f5b8256e12e049bc961c3833d8490dc779313eca54231952240b46"),
)
LINES = "# users\n\nzhang administrator password 20000 %s %s\nprogram viewer token %s\n" % (
    "0a" * 16, "0b" * 32, "0c" * 32,
)  # fmt: skip


@pytest.mark.slow
def test_verifiers_are_those_of_others():
    for password, salt, count, wanted in VERIFIERS:
        found = derive(password, salt, count)
        step = Pbkdf2(password, salt)
        for part in (1, count - 2, 1):
            step.on(part)
        assert step.value == found == bytes([int(wanted[i : i + 2], 16) for i in range(0, 64, 2)])
        print(found)
    assert derive(b"password", b"salt", 2000) != derive(b"passwore", b"salt", 2000)


def test_the_file():
    found = parse(LINES.encode())
    assert sorted(found) == ["program", "zhang"]
    zhang, program = found["zhang"], found["program"]
    assert (zhang.role, zhang.count, zhang.salt, zhang.verifier) == ("administrator", 20000, b"\n" * 16, b"\x0b" * 32)
    assert program.digest == b"\x0c" * 32 and program.verifier is None
    assert parse(b"") == {}


def test_what_is_no_file_of_users():
    good = LINES.split("\n")[2]
    for line in (
        "zhang", "zhang administrator", good + " more", good.replace("administrator", "root"),
        good.replace("20000", "10"), good.replace("20000", "x"), good.replace("0a", "0"), good.replace("0b", "zz"),
        good.replace("password", "plain"), good.replace("zhang", "zh<ng"), good + "\n" + good, "a viewer token 00",
    ):  # fmt: skip
        with pytest.raises(AccessError):
            parse(line.encode())
    with pytest.raises(AccessError):
        parse(b"\xff\xfe")
    for name in ("", "a b", "x" * 33, "张"):
        with pytest.raises(AccessError):
            check_name(name)
    random = Random(5)
    for _ in range(200):
        data = bytearray(LINES.encode())
        for _ in range(1 + random.below(3)):
            data[random.below(len(data))] = random.below(256)
        try:
            parse(bytes(data))
        except AccessError:
            pass
