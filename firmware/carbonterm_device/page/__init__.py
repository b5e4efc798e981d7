"""The terminal's own web page: what it does, what it measured, its configuration (clauses 10.6, 11.3; docs/page.md).

HTTPS by Microdot, which is foreign and copied unmodified; all in front of it (who may connect, how much he may send,
who he is) is ours. Only a terminal whose site document has a `page` loads this.
"""
