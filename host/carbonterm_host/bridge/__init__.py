"""Bridges: what speaks OPC UA or ODBC is read here, on a host, and pushed into a terminal's inbound endpoint.

A source (`opcua`, `odbc`) puts messages into a `Queue` (SQLite, durable, bounded); a `Pusher` takes them out in order
and hands them to the terminal, which says 200 only when they are in its signed log. docs/bridges.md.
"""
