"""carbonterm firmware: tasks, buses, storage, delivery; ports/ holds all that differs by board."""
