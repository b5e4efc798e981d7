"""Who may look at the page, and as what: a file of the data folder, mode 0600, one line each.

    NAME ROLE password ITERATIONS SALT VERIFIER      SALT 16 bytes, VERIFIER 32, in hex: PBKDF2 with HMAC-SM3
    NAME ROLE token DIGEST                           SM3 of a program's token (Authorization: Bearer), in hex

`carbonterm page user` writes it; it is read again at each log-in. Wrong passwords of a name cost waiting time that
doubles; a name that nobody has costs the same work, and all such names wait together.
"""

from carbonterm.errors import AccessError, quoted
from carbonterm.gm import sm3
from carbonterm.gm.pbkdf2 import Pbkdf2

VIEWER, OPERATOR, ADMINISTRATOR = ROLES = ("viewer", "operator", "administrator")
FREE = 4  # wrong passwords in a row that cost nothing but the work
LONGEST_S = 900
STEP = 100  # iterations between which others get their turn
ITERATIONS = 1000, 1000000
MOST = 256  # characters of a password
_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_"


class User:
    """name, role; a password's count, salt and verifier, or a token's digest."""

    __slots__ = ("count", "digest", "name", "role", "salt", "verifier")

    def __init__(self, name, role):
        self.name, self.role = name, role
        self.count = self.salt = self.verifier = self.digest = None


def parse(data):
    """{name: User} of a file's bytes; AccessError names the line that is wrong."""
    found = {}
    try:
        lines = data.decode().split("\n")
    except ValueError:
        raise AccessError("the file of users is no text", "make it with 'carbonterm page user'")
    for number, line in enumerate(lines):
        words = line.split()
        if not words or words[0][:1] == "#":
            continue
        try:
            user = _user(words)
            if user.name in found:
                raise ValueError
        except (ValueError, IndexError):
            raise AccessError("line %d of the file of users is wrong" % (number + 1), "use 'carbonterm page user'")
        found[user.name] = user
    return found


def check_name(name):
    """AccessError unless a name has 1 to 32 letters, digits, . - _."""
    if not 1 <= len(name) <= 32 or [c for c in name if c not in _LETTERS]:
        raise AccessError("%s is no name of a user" % quoted(name), "use 1 to 32 letters, digits, . - _")


def _user(words):
    check_name(words[0])
    if words[1] not in ROLES:
        raise ValueError
    user = User(words[0], words[1])
    if words[2] == "password" and len(words) == 6:
        user.count, user.salt, user.verifier = int(words[3]), _octets(words[4], 16), _octets(words[5], 32)
        if not ITERATIONS[0] <= user.count <= ITERATIONS[1]:
            raise ValueError
    elif words[2] == "token" and len(words) == 4:
        user.digest = _octets(words[3], 32)
    else:
        raise ValueError
    return user


def _octets(text, size):
    if len(text) != 2 * size:
        raise ValueError
    return bytes([int(text[i : i + 2], 16) for i in range(0, 2 * size, 2)])


def same(one, other):
    """Whether two byte strings are the same, in a time that does not tell where they differ."""
    if len(one) != len(other):
        return False
    found = 0
    for a, b in zip(one, other):
        found |= a ^ b
    return found == 0


class Door:
    """Checks passwords, one at a time. read() gives the file's bytes; port: ticks and sleep_ms."""

    def __init__(self, read, port):
        self._read = read
        self._port = port
        self._wrong = {}  # {name, or None for all that nobody has: (how many in a row, ticks until which it waits)}
        self._busy = False

    def users(self):
        """{name: User} of the file as it is now; AccessError, OSError."""
        return parse(self._read())

    def waits(self, name, users):
        """Seconds for which no password of a name is looked at."""
        count, until = self._wrong.get(name if name in users else None, (0, 0))
        left = self._port.ticks_diff(until, self._port.ticks_ms()) if count > FREE else 0
        return max(0, -(-left // 1000))

    async def enter(self, name, password):
        """The User whose name and password these are; AccessError with why not. Its `hint` is for the log only."""
        users = self.users()
        wait = self.waits(name, users)
        if self._busy or wait:
            raise AccessError("try again in %d s · 请稍候再试" % max(wait, 1), "waits")
        self._busy = True
        try:
            user = users.get(name)
            known = user is not None and user.verifier is not None
            counts = [one.count for one in users.values() if one.count]
            made = Pbkdf2(password.encode()[:MOST], user.salt if known else bytes(16))
            left = user.count if known else max(counts) if counts else ITERATIONS[0]
            while left:
                made.on(min(STEP, left))
                left -= min(STEP, left)
                await self._port.sleep_ms(0)
            if known and same(made.value, user.verifier):
                self._wrong.pop(name, None)
                return user
            self._count(name if name in users else None)
            raise AccessError("name or password is wrong · 用户名或密码错误", "wrong")
        finally:
            self._busy = False

    def _count(self, name):
        count = self._wrong.get(name, (0, 0))[0] + 1
        seconds = min(LONGEST_S, 1 << min(count - FREE, 10)) if count > FREE else 0
        self._wrong[name] = count, self._port.ticks_add(self._port.ticks_ms(), seconds * 1000)

    def program(self, token):
        """The User whose token (bytes) this is, None if it is nobody's."""
        digest, found = sm3.digest(token), None
        for user in self.users().values():
            if user.digest is not None and same(user.digest, digest):
                found = user
        return found
