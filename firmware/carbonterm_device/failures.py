"""What an OSError of the storage means to people, and what was not kept because of one."""

from carbonterm.clock import text

# errno: what it is, what to do
FAILURES = {
    5: ("input/output error (EIO) · 存储读写错误", "copy the folder away and replace the storage · 备份数据并更换存储"),
    27: ("file too large (EFBIG) · 文件过大", "lift the limit on the size of files · 放宽文件大小限制"),
    28: ("no space left (ENOSPC) · 存储已满", "free space on the storage, or restore the link · 腾出空间或恢复通信"),
    30: ("read-only (EROFS) · 存储只读", "mount it writable; check the storage for errors · 检查存储并重新挂载为可写"),
    122: ("quota exceeded (EDQUOT) · 超出配额", "raise the quota or free space · 提高配额或腾出空间"),
}


NO_MEMORY = "not memory enough · 内存不足", "fewer meters or centres on this board · 减少此设备的仪表或平台"


def says(error):
    """(what, what to do) of an OSError of the storage, or of a MemoryError."""
    if isinstance(error, MemoryError):
        return NO_MEMORY
    known = FAILURES.get(error.args[0] if error.args else 0)
    return known or ("the storage fails: %s · 存储故障" % error, "check the storage, then restart · 检查存储后重启")


class Missed:
    """Counts readings that were not kept: `rows` of `rounds`, between two times."""

    def __init__(self):
        self.clear()

    def clear(self):
        self.rows = self.rounds = 0
        self.since_ms = self.until_ms = None

    def count(self, time_ms, rows):
        self.rows += rows
        self.rounds += 1
        self.since_ms = time_ms if self.since_ms is None else min(self.since_ms, time_ms)
        self.until_ms = time_ms if self.until_ms is None else max(self.until_ms, time_ms)

    def __str__(self):
        if not self.rounds:
            return "no readings"
        return "%d readings of %d rounds from %s to %s" % (
            self.rows, self.rounds, text(self.since_ms), text(self.until_ms),
        )  # fmt: skip
