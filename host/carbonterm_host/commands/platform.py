"""`carbonterm platform serve | register | tls`: the receiving side, one process on SQLite."""

import signal
import socket
from functools import partial
from pathlib import Path

import typer
import uvicorn

from carbonterm.ledger.checkpoint import is_name
from carbonterm_host import gm_backends
from carbonterm_host.commands import platform_access, platform_data, platform_doctor, platform_mqtt, platform_quality
from carbonterm_host.platform import keys
from carbonterm_host.platform.access import audit, users
from carbonterm_host.platform.access.traps import open_all
from carbonterm_host.platform.data import jobs
from carbonterm_host.platform.intake import Intake
from carbonterm_host.platform.quality.schedule import Schedule
from carbonterm_host.platform.registrar import Registrar
from carbonterm_host.platform.store import Store
from carbonterm_host.platform.web import application
from carbonterm_host.screen import JSON, OK, UNREACHABLE, USAGE, Failure, put, say

app = typer.Typer(no_args_is_help=True, help="receive the logs of terminals · 平台")
app.add_typer(platform_access.app, name="user")
for _module in (platform_access, platform_data, platform_quality, platform_doctor):
    for _name, _function in _module.COMMANDS.items():
        app.command(_name)(_function)

STORE = typer.Option(..., "--store", help="where entries are kept, sqlite:///PATH · 存储")


@app.command()
def serve(
    store: str = STORE,
    host: str = typer.Option("127.0.0.1", help="address to listen on · 监听地址"),
    port: int = typer.Option(0, min=0, max=65535, help="0: any free one · 端口"),
    tls_cert: Path | None = typer.Option(None, exists=True, help="server certificate, PEM · 证书"),
    tls_key: Path | None = typer.Option(None, exists=True, help="its key, PEM · 证书私钥"),
    register: list[str] = typer.Option([], metavar="ID:EPOCH:PUBLICHEX", help="a terminal's key · 登记终端"),
    operator: list[str] = typer.Option([], metavar="NAME:PUBLICHEX", help="whose registrations count · 运营方"),
    key: Path | None = typer.Option(None, help="file of the SM2 key for receipts; default: STORE.key · 签名密钥"),
    name: str = typer.Option("platform", help="name in receipts and cosignatures · 名称"),
    trap: list[int] = typer.Option([], min=1, max=65535, help="port where any connection is an alarm · 诱捕端口"),
    quality_hours: int = typer.Option(24, min=0, max=8784, help="between two quality checks; 0: none · 质控周期"),
    backup_dir: list[Path] = typer.Option([], help="folder of backups; several: a copy in each · 备份目录"),
    backup_every: str = typer.Option("24h", help="time between two backups, such as 24h · 备份周期"),
    keep: int = typer.Option(30, min=1, help="backups that stay in each folder · 保留份数"),
    check_every: str = typer.Option("24h", help="time between two checks of integrity; 0: none · 完整性检查周期"),
    mqtt: str = platform_mqtt.URL,
    mqtt_ca: Path | None = platform_mqtt.CA,
    mqtt_login: Path | None = platform_mqtt.LOGIN,
    mqtt_cert: Path | None = platform_mqtt.CERT,
    mqtt_key: Path | None = platform_mqtt.KEY,
    as_json: bool = JSON,
):
    """Takes entries by HTTPS or MQTT, checks them, answers with signed receipts. Ends on SIGTERM or Ctrl-C. 运行平台"""
    if (tls_cert is None) != (tls_key is None):
        raise Failure(USAGE, "--tls-cert and --tls-key go together", "make both with: carbonterm platform tls DIR")
    if not is_name(name):
        raise Failure(USAGE, f"--name {name!r} cannot name a key", "use printable ASCII without blanks and +")
    if tls_cert is None and host not in ("127.0.0.1", "::1", "localhost"):
        raise Failure(USAGE, f"without a certificate the platform listens on loopback only, not on {host}",
                      "make one with: carbonterm platform tls DIR")  # fmt: skip
    periods = [platform_data.duration(text) for text in (backup_every, check_every)]
    if backup_dir and periods[0] == 0:
        raise Failure(USAGE, "--backup-every 0 makes no backup", "give a time, such as 24h")
    opened = Store(store)
    for text in register:
        opened.register(*_terminal(text))
    operators = dict(_operator(text) for text in operator)
    signer = keys.load_or_make(key or opened.path + ".key")
    backend = gm_backends.best()
    verify = partial(gm_backends.verify, backend=backend)
    digest = partial(gm_backends.digest, backend=backend)
    intake = Intake(opened, name, signer, verify, digest)
    broker = platform_mqtt.broker(intake, mqtt, mqtt_ca, mqtt_login, mqtt_cert, mqtt_key)
    registrar = Registrar(opened, operators, verify, digest)
    listener = _listen(host, port)
    traps = [_listen(host, number) for number in trap]
    url = f"{'https' if tls_cert else 'http'}://{_bracketed(host)}:{listener.getsockname()[1]}"
    served = application(intake, registrar)
    config = uvicorn.Config(
        served, ssl_certfile=tls_cert, ssl_keyfile=tls_key, log_level="warning",
        access_log=False,
        timeout_keep_alive=75, timeout_graceful_shutdown=10, limit_concurrency=1000, server_header=False,
    )  # fmt: skip
    signal.signal(signal.SIGTERM, lambda *_: None)  # uvicorn ends by it, then raises it once more
    signal.signal(signal.SIGINT, lambda *_: None)
    checks = Schedule(opened, quality_hours, **intake.tools()) if quality_hours else None
    upkeep = jobs.Jobs(opened, jobs.table(opened, backup_dir, periods[0], keep, periods[1], (name, signer), digest))
    upkeep.start()
    if checks:
        checks.start()
    if broker:
        broker.start()
    ready = partial(_ready, as_json, url, intake, opened)
    Ready(config, ready, partial(open_all, served.state.access, traps)).run(sockets=[listener])
    if broker:
        broker.stop()
    if checks:
        checks.stop()
    upkeep.stop()
    audit.sign_head(opened, name, signer)
    opened.close()
    return OK


@app.command()
def register(
    terminal: list[str] = typer.Argument(metavar="ID:EPOCH:PUBLICHEX"),
    store: str = STORE,
    as_json: bool = JSON,
):
    """Makes the keys of terminals known to the platform, running or not. 登记终端公钥"""
    opened = Store(store)
    for text in terminal:
        terminal_id, epoch, public = _terminal(text)
        opened.register(terminal_id, epoch, public)
        if as_json:
            put({"terminal": terminal_id, "epoch": epoch, "public_key": public.hex()})
        else:
            print(say(f"registered {terminal_id} epoch {epoch}", f"已登记 {terminal_id} 纪元 {epoch}"))
    return OK


@app.command()
def tls(
    folder: Path = typer.Argument(metavar="DIR"),
    name: list[str] = typer.Option(["127.0.0.1", "localhost"], help="addresses of the server · 服务器地址"),
    as_json: bool = JSON,
):
    """Makes a CA and a server certificate; ca.der goes into the site document. 生成证书"""
    made = keys.make_certificates(folder, name)
    if as_json:
        put({path.name: str(path) for path in made.values()})
    else:
        print(say("made", "已生成") + ": " + " ".join(str(path) for path in made.values()))
        cert, key = made["server.pem"], made["server.key"]
        print(f"carbonterm platform serve --store sqlite:///… --tls-cert {cert} --tls-key {key}")
    return OK


class Ready(uvicorn.Server):
    """A server that says when it listens, its traps with it."""

    def __init__(self, config, ready, open_traps):
        super().__init__(config)
        self._ready = ready
        self._open_traps = open_traps

    async def startup(self, sockets=None):
        await super().startup(sockets)
        self._traps = await self._open_traps()
        self._ready()


def _ready(as_json, url, intake, store):
    if as_json:
        put({"url": url, "public_key": intake.signer.public.hex(), "name": intake.name, "store": store.path})
        return
    print(say(f"listening on {url}, store {store.path}", f"监听 {url}，存储 {store.path}"), flush=True)
    print(say("public key of receipts", "回执公钥") + f": {intake.signer.public.hex()}", flush=True)
    if not users.any_user(store):
        print(say("no user is made yet: the page answers this machine only; make one with carbonterm platform user add",
                  "尚无用户：网页仅本机可看；用 carbonterm platform user add 添加"), flush=True)  # fmt: skip


def _terminal(text):
    parts = text.split(":")
    try:
        terminal_id, epoch, public = parts[0], int(parts[1]), bytes.fromhex(parts[2])
    except (IndexError, ValueError):
        parts = None
    if parts is None or len(parts) != 3:
        raise Failure(USAGE, f"{text!r} is not ID:EPOCH:PUBLICHEX", "a terminal prints it at its first start")
    return terminal_id, epoch, public


def _operator(text):
    name, _, public = text.rpartition(":")
    try:
        public = bytes.fromhex(public)
    except ValueError:
        public = b""
    if not is_name(name) or len(public) != 64:
        raise Failure(USAGE, f"{text!r} is not NAME:PUBLICHEX", "carbonterm key operator prints it")
    return name, public


def _listen(host, port):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        why = error.strerror or error
        raise Failure(UNREACHABLE, f"cannot listen on {host} port {port}: {why}", "choose another port") from None
    return listener


def _bracketed(host):
    return f"[{host}]" if ":" in host else host
