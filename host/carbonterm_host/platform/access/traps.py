"""Trap ports: nothing is served there, so whoever connects is looking for something: an alarm (入侵检测)."""

import asyncio

from anyio import to_thread


async def open_all(access, listeners):
    """The asyncio servers over bound sockets, for as long as the caller keeps them."""

    def handler(port):
        async def came(_, writer):
            address = (writer.get_extra_info("peername") or ("",))[0]
            writer.transport.abort()
            await to_thread.run_sync(access.trapped, address, port)

        return came

    return [
        await asyncio.start_server(handler(one.getsockname()[1]), sock=one, backlog=16) for one in listeners
    ]
