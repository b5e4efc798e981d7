"""Servers of tests on loopback, in a thread of their own, over TLS where they should (CPython only)."""

import asyncio
import ssl
import threading


class Loop:
    """An asyncio server on loopback in a thread of its own: `handle(reader, writer)` per connection."""

    def __init__(self, handle, context=None):
        self._handle = handle
        self._context = context
        self._loop = asyncio.new_event_loop()
        self._writers = set()
        self.connections = 0

    def __enter__(self):
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._server = self._call(asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._context))
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_):
        self._call(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def cut(self):
        """Ends all connections without a word."""
        self._call(self._abort())

    def _call(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(60)

    async def _serve(self, reader, writer):
        self.connections += 1
        self._writers.add(writer)
        try:
            await self._handle(reader, writer)
        except (OSError, EOFError, asyncio.CancelledError):
            pass
        finally:
            self._writers.discard(writer)
            writer.transport.abort()

    async def _abort(self):
        for writer in list(self._writers):
            writer.transport.abort()

    async def _stop(self):
        self._server.close()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)


def server_context(certificates):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates["server.pem"], certificates["server.key"])
    return context
