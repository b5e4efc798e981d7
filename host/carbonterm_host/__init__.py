"""carbonterm host tools: the `carbonterm` command, simulators, platform, reports (CPython >= 3.11)."""
