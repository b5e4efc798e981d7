"""Who is logged in: in memory only, so that a restart logs everybody out."""

COOKIE = "__Host-carbonterm"
IDLE_MS, LONGEST_MS = 15 * 60000, 8 * 3600000
MOST = 16


class Session:
    """user: carbonterm.users.User; token: what a form of his must bring (CSRF); draft: the configuration
    that he works on, or None."""

    __slots__ = ("began", "draft", "seen", "token", "user")

    def __init__(self, user, token, now):
        self.user = user
        self.token = token
        self.began = self.seen = now
        self.draft = None


class Sessions:
    """port: random(n), ticks_ms, ticks_diff."""

    def __init__(self, port):
        self._port = port
        self._open = {}  # {what the cookie says: Session}

    def begin(self, user):
        """What the cookie of a new session says. The one unused longest goes where there are too many."""
        self.look()
        now = self._port.ticks_ms()
        while len(self._open) >= MOST:
            idle = [(self._port.ticks_diff(now, one.seen), said) for said, one in self._open.items()]
            self._open.pop(max(idle)[1])
        said = self._secret()
        self._open[said] = Session(user, self._secret(), now)
        return said

    def find(self, said, touch=True):
        """The Session of a cookie, None where there is none any more; touch: somebody is there."""
        self.look()
        found = self._open.get(said)
        if found is not None and touch:
            found.seen = self._port.ticks_ms()
        return found

    def end(self, said):
        self._open.pop(said, None)

    def end_of(self, name):
        """Ends all sessions of a user."""
        for said in [said for said, one in self._open.items() if one.user.name == name]:
            self._open.pop(said)

    def _secret(self):
        return "".join(["%02x" % byte for byte in self._port.random(24)])

    def look(self):
        """Ends what is over. Ticks begin anew after some days: somebody has to look now and then."""
        now, port = self._port.ticks_ms(), self._port
        for said, one in list(self._open.items()):
            if port.ticks_diff(now, one.seen) > IDLE_MS or port.ticks_diff(now, one.began) > LONGEST_MS:
                self._open.pop(said)
