"""Users of the platform and their sessions (身份认证).

A password is kept as scrypt (RFC 7914; N = 2^15, r = 8, p = 1: 32 MiB and about 0.1 s a try), a token as its SM3.
Users are disabled, never removed: the log names them.
"""

import hashlib
import hmac
import os
import secrets
import time

from sqlalchemy import BigInteger, Column, ForeignKey, Integer, LargeBinary, Table, Text, select
from sqlalchemy.sql import func

from carbonterm.errors import AccessError, quoted
from carbonterm.gm import sm3
from carbonterm_host.platform.access.roles import ROLES, Person
from carbonterm_host.platform.store import metadata

MIN_PASSWORD, MAX_PASSWORD = 10, 200  # characters
SESSION_MS = 12 * 3600_000
MAX_DAYS = 366  # of a program's token
MAX_SESSIONS = 20  # per user; the oldest ends
_N, _R, _P = 1 << 15, 8, 1

users = Table(
    "users", metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("role", Text, nullable=False),
    Column("salt", LargeBinary, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    Column("disabled", Integer, nullable=False, default=0),
    Column("made_ms", BigInteger, nullable=False),
)  # fmt: skip

sessions = Table(
    "sessions", metadata,
    Column("digest", LargeBinary, primary_key=True),  # SM3 of the token
    Column("user", ForeignKey("users.id"), nullable=False),
    Column("made_ms", BigInteger, nullable=False),
    Column("until_ms", BigInteger, nullable=False),
)  # fmt: skip


def is_name(text):
    """1 to 32 of letters, digits, . - _ and Chinese characters."""
    return 0 < len(text) <= 32 and all(c.isalnum() or c in ".-_" for c in text) and text[0] not in ".-"


def add(store, name, role, password):
    """Makes a user; AccessError for a bad name, role or password, or a name that is taken."""
    if not is_name(name) or name in ("local", "command"):
        raise AccessError(f"{quoted(name)} names no user", "use 1 to 32 letters, digits and . - _")
    if role not in ROLES:
        raise AccessError(f"{quoted(role)} is no role", "one of " + ", ".join(ROLES))
    salt, hashed = _hashed(name, password)
    with store.write() as connection:
        if _find(connection, name) is not None:
            raise AccessError(f"there is a user {name} already", "choose another name; names are never used again")
        connection.execute(users.insert().values(name=name, role=role, salt=salt, hash=hashed, made_ms=now_ms()))


def change_password(store, name, password):
    """A new password; sessions that were open end."""
    salt, hashed = _hashed(name, password)
    with store.write() as connection:
        row = _known(connection, name)
        connection.execute(users.update().where(users.c.id == row.id).values(salt=salt, hash=hashed))
        connection.execute(sessions.delete().where(sessions.c.user == row.id))


def disable(store, name, disabled=True):
    """Nobody logs in as this user any more, and open sessions end; or the other way round."""
    with store.write() as connection:
        row = _known(connection, name)
        connection.execute(users.update().where(users.c.id == row.id).values(disabled=int(disabled)))
        connection.execute(sessions.delete().where(sessions.c.user == row.id))


def listed(store):
    """[{"name", "role", "disabled", "made_ms", "sessions"}], by name."""
    open_now = (
        select(func.count()).where(sessions.c.user == users.c.id, sessions.c.until_ms > now_ms()).scalar_subquery()
    )
    with store.read() as connection:
        rows = connection.execute(select(users, open_now.label("open")).order_by(users.c.name)).all()
    return [
        {"name": r.name, "role": r.role, "disabled": bool(r.disabled), "made_ms": r.made_ms, "sessions": r.open}
        for r in rows
    ]


def any_user(store):
    with store.read() as connection:
        return connection.execute(select(users.c.id).limit(1)).scalar() is not None


def check(store, name, password):
    """Whether this is the password of a user who is not disabled; takes the same time for unknown names."""
    with store.read() as connection:
        row = _find(connection, name)
    salt, known = (row.salt, row.hash) if row is not None else (bytes(16), bytes(32))
    right = hmac.compare_digest(_scrypt(password[:MAX_PASSWORD], salt), known)
    return right and row is not None and not row.disabled


def open_session(store, name, milliseconds=SESSION_MS):
    """(token, until_ms) of a new session of a user; AccessError if there is none or he is disabled."""
    token = secrets.token_urlsafe(32)
    now = now_ms()
    with store.write() as connection:
        row = _known(connection, name)
        if row.disabled:
            raise AccessError(f"the user {name} is disabled", "carbonterm platform user enable")
        connection.execute(sessions.delete().where(sessions.c.until_ms <= now))
        older = (
            select(sessions.c.digest).where(sessions.c.user == row.id)
            .order_by(sessions.c.made_ms.desc()).offset(MAX_SESSIONS - 1)
        )  # fmt: skip
        connection.execute(sessions.delete().where(sessions.c.digest.in_(older)))
        connection.execute(
            sessions.insert().values(
                digest=_digest(token), user=row.id, made_ms=now, until_ms=now + milliseconds
            )
        )
    return token, now + milliseconds


def close_session(store, digest):
    with store.write() as connection:
        connection.execute(sessions.delete().where(sessions.c.digest == digest))


def person(store, token):
    """The Person with this token, or None."""
    if not 20 <= len(token) <= 100 or not token.isascii():
        return None
    digest = _digest(token)
    with store.read() as connection:
        row = connection.execute(
            select(users.c.name, users.c.role).join(sessions, sessions.c.user == users.c.id)
            .where(sessions.c.digest == digest, sessions.c.until_ms > now_ms(), users.c.disabled == 0)
        ).one_or_none()  # fmt: skip
    return None if row is None else Person(row.name, row.role, digest)


def _hashed(name, password):
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        raise AccessError(
            f"a password has {MIN_PASSWORD} to {MAX_PASSWORD} characters, this one {len(password)}",
            "several words make a good one",
        )
    if len(set(password)) < 5 or password.casefold().strip("0123456789") == name.casefold():
        raise AccessError("this password is guessed at once", "several words make a good one")
    salt = os.urandom(16)
    return salt, _scrypt(password, salt)


def _scrypt(password, salt):
    return hashlib.scrypt(password.encode("utf-8", "surrogatepass"), salt=salt, n=_N, r=_R, p=_P, maxmem=64 << 20,
                          dklen=32)  # fmt: skip


def _find(connection, name):
    return connection.execute(select(users).where(users.c.name == name)).one_or_none()


def _known(connection, name):
    row = _find(connection, name)
    if row is None:
        raise AccessError(f"there is no user {quoted(name)}", "carbonterm platform user list")
    return row


def _digest(token):
    return sm3.digest(token.encode())


def now_ms():
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000
