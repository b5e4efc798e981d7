"""Who may see and do what on the platform: roles, users, the log of accesses, and the gate before every address."""
