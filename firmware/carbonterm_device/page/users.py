"""Who comes in to the page: passwords and tokens against the file of users (carbonterm.users), read at each request.

Wrong passwords of a name cost waiting time that doubles; a name that nobody has costs the same work, and all such names
wait together.
"""

from carbonterm.errors import AccessError
from carbonterm.gm import sm3
from carbonterm.gm.pbkdf2 import Pbkdf2
from carbonterm.users import ITERATIONS, parse

FREE = 4  # wrong passwords in a row that cost nothing but the work
LONGEST_S = 900
STEP = 100  # iterations between which others get their turn
MOST = 256  # bytes of a password that count


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
        self._wrong = {}  # {name, or None for all that nobody has: (how many in a row, ticks until it waits, or None)}
        self._busy = False

    def users(self):
        """{name: User} of the file as it is now; AccessError, OSError."""
        return parse(self._read())

    def waits(self, name, users):
        """Seconds for which no password of a name is looked at."""
        until = self._wrong.get(name if name in users else None, (0, None))[1]
        left = self._port.ticks_diff(until, self._port.ticks_ms()) if until is not None else 0
        return max(0, -(-left // 1000))

    def look(self):
        """Forgets waiting times that are over. Ticks begin anew after some days: somebody has to look now and then."""
        now = self._port.ticks_ms()
        for name, (count, until) in list(self._wrong.items()):
            if until is not None and self._port.ticks_diff(until, now) <= 0:
                self._wrong[name] = count, None

    def knows(self, user):
        """Whether the file has a User as he was when he came in."""
        now = self.users().get(user.name)
        return now is not None and (now.role, now.salt, now.verifier) == (user.role, user.salt, user.verifier)

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
        until = self._port.ticks_add(self._port.ticks_ms(), seconds * 1000) if seconds else None
        self._wrong[name] = count, until

    def program(self, token):
        """The User whose token (bytes) this is, None if it is nobody's."""
        digest, found = sm3.digest(token), None
        for user in self.users().values():
            if user.digest is not None and same(user.digest, digest):
                found = user
        return found
