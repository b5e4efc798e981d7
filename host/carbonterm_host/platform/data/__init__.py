"""Data management of the platform (docs/platform_data.md): layers, metadata, search, backup, checks."""
