"""An OPC UA server of asyncua with four nodes, for tests of the bridge (CPython only).

`Plant(folder, secured)`: `port`; `set(name, value)` of energy, flow, count, text; `stop` and `start` again on the same
port; `end` for good. secured: it takes signed and encrypted links only, with the folder's server.pem, server.key.pem.
"""

import asyncio
import threading

from asyncua import Server, ua
from asyncua.crypto.permission_rules import User, UserRole


class Users:
    def get_user(self, iserver, username=None, password=None, certificate=None):
        if not username:
            return User(role=UserRole.User)
        return User(role=UserRole.User) if (username, password) == ("reader", "p}=;w") else None


class Plant:
    def __init__(self, folder, secured):
        self.folder, self.secured = folder, secured
        self.port = 0
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        self.start()

    def _do(self, what):
        return asyncio.run_coroutine_threadsafe(what, self._loop).result(60)

    def start(self):
        self._do(self._start())

    async def _start(self):
        self.server = Server(user_manager=Users())
        await self.server.init()
        self.server.set_endpoint(f"opc.tcp://127.0.0.1:{self.port}/plant")
        if self.secured:
            await self.server.load_certificate(str(self.folder / "server.pem"))
            await self.server.load_private_key(str(self.folder / "server.key.pem"))
            await self.server.set_application_uri("urn:plant:server")
            self.server.set_security_policy(
                [ua.SecurityPolicyType.Basic256Sha256_Sign, ua.SecurityPolicyType.Basic256Sha256_SignAndEncrypt]
            )
        else:
            self.server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
        index = await self.server.register_namespace("urn:plant")
        assert index == 2
        objects = self.server.nodes.objects
        self.nodes = {}
        for name, value, kind in (
            ("energy", 123456.7, ua.VariantType.Double), ("flow", 0.1, ua.VariantType.Float),
            ("count", 18446744073709551615, ua.VariantType.UInt64), ("text", "12.50", ua.VariantType.String),
        ):  # fmt: skip
            self.nodes[name] = await objects.add_variable(ua.NodeId(name, index), name, value, kind)
        await self.server.start()
        self.port = self.server.bserver.port

    def set(self, name, value, kind=ua.VariantType.Double, **more):
        self._do(self.nodes[name].write_value(ua.DataValue(ua.Variant(value, kind), **more)))

    def stop(self):
        self._do(self.server.stop())

    def end(self):
        self._loop.call_soon_threadsafe(self._loop.stop)
