"""Who may use a terminal's own page, and as what: a file of its data folder, mode 0600, one line each.

    NAME ROLE password ITERATIONS SALT VERIFIER      SALT 16 bytes, VERIFIER 32, in hex: PBKDF2 with HMAC-SM3
    NAME ROLE token DIGEST                           SM3 of a program's token (Authorization: Bearer), in hex

`carbonterm page user` writes it, carbonterm_device.page reads it. Empty lines and those that begin with # mean nothing.
"""

from carbonterm.errors import AccessError, quoted

VIEWER, OPERATOR, ADMINISTRATOR = ROLES = ("viewer", "operator", "administrator")
ITERATIONS = 1000, 1000000
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
