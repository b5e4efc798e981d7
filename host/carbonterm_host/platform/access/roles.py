"""Roles, rights, and the right that each address of the platform asks for (权限矩阵).

An address that stands in no row is closed to everybody: a new one has to say here who may use it.
"""

RIGHTS = {
    "view": "看数据 see data that is not labelled",
    "sensitive": "看敏感数据 see data of labelled terminals",
    "export": "导出 take data away in files",
    "check": "校核 first step of a review",
    "review": "复核 second step of a review",
    "approve": "审定 third step of a review",
    "run": "质控 run a quality check now",
    "audit": "审计 read the access log and alarms",
    "manage": "管理 users and labels",
}

ROLES = {
    "viewer": ("查看", ("view",)),
    "operator": ("操作", ("view", "export", "check", "run")),
    "auditor": ("核查", ("view", "sensitive", "export", "review", "run", "audit")),
    "admin": ("管理", ("view", "sensitive", "export", "approve", "run", "audit", "manage")),
}

# whoever sits at the machine itself while no user has been made: sees all, signs nothing
LOCAL = ("view", "sensitive", "export", "run", "audit")

OPEN = "open"  # needs no login: the login itself
SIGNED = "signed"  # needs no login: what comes is signed by a terminal or an operator, what goes is a signed word
SELF = "self"  # needs a login and no right

_REVIEW = ("check", "review", "approve")
ENDPOINTS = {
    ("GET", "/"): ("view",),
    ("GET", "/login"): OPEN,
    ("POST", "/login"): OPEN,
    ("POST", "/v1/login"): OPEN,
    ("POST", "/logout"): SELF,
    ("GET", "/v1/me"): SELF,
    ("POST", "/v1/terminals/{terminal_id}/entries"): SIGNED,
    ("GET", "/v1/terminals/{terminal_id}/entries"): SIGNED,
    ("GET", "/v1/terminals/{terminal_id}/registry"): SIGNED,
    ("POST", "/v1/registrations"): SIGNED,
    ("POST", "/v1/revocations"): SIGNED,
    ("GET", "/v1/terminals"): ("view",),
    ("GET", "/v1/terminals/{terminal_id}"): ("view",),
    ("GET", "/v1/terminals/{terminal_id}/bundle"): ("export",),
    ("GET", "/v1/terminals/{terminal_id}/quality"): ("view",),
    ("POST", "/v1/terminals/{terminal_id}/quality"): ("run",),
    ("GET", "/v1/terminals/{terminal_id}/reviews"): ("view",),
    ("POST", "/v1/terminals/{terminal_id}/reviews"): _REVIEW,
    ("GET", "/v1/terminals/{terminal_id}/figures"): ("view",),
    ("GET", "/v1/terminals/{terminal_id}/trend"): ("view",),
    ("GET", "/v1/terminals/{terminal_id}/inventory"): ("view",),
    ("GET", "/v1/terminals/{terminal_id}/boundary"): ("view",),
    ("GET", "/v1/enterprises"): ("view",),
    ("GET", "/v1/terminals/{terminal_id}/certifications"): ("view",),
    ("GET", "/v1/upkeep"): ("audit",),
    ("PUT", "/v1/terminals/{terminal_id}/label"): ("manage",),
    ("GET", "/v1/audit"): ("audit",),
    ("GET", "/v1/alarms"): ("audit",),
    ("GET", "/v1/users"): ("manage",),
}


class Person:
    """Somebody who asks: name, role ("local" without users) and what the role may do."""

    __slots__ = ("name", "role", "rights", "session")

    def __init__(self, name, role, session=None):
        self.name = name
        self.role = role
        self.rights = LOCAL if role == "local" else ROLES[role][1]
        self.session = session  # digest of the token, None for local

    def may(self, right):
        return right in self.rights


def allowed(person, method, template):
    """Whether a Person (or None) may use an address."""
    needs = ENDPOINTS.get((method, template))
    if needs is None:
        return False
    if needs in (OPEN, SIGNED):
        return True
    if person is None:
        return False
    return needs == SELF or any(person.may(right) for right in needs)
