"""`carbonterm platform serve --mqtt …`: options of the broker over which terminals reach the platform."""

from pathlib import Path

import typer

from carbonterm.errors import CarbonError
from carbonterm_host.screen import USAGE, Failure
from carbonterm_host.site_centre import address

URL = typer.Option("", "--mqtt", metavar="mqtts://HOST[:PORT][/PREFIX]", help="broker that terminals use · MQTT 代理")
CA = typer.Option(None, exists=True, help="CA of its certificate, PEM; default: the system's · 代理的 CA")
LOGIN = typer.Option(None, exists=True, help="file with user and password, a line each · 代理用户和密码")
CERT = typer.Option(None, exists=True, help="certificate for the broker, PEM · 客户端证书")
KEY = typer.Option(None, exists=True, help="its key, PEM · 客户端私钥")


def broker(intake, url, ca, login, cert, key):
    """The Broker of these options, None without a url; Failure for what can't be."""
    if not url:
        if ca or login or cert or key:
            raise Failure(USAGE, "--mqtt-ca, --mqtt-login, --mqtt-cert and --mqtt-key are of a broker",
                          "name it: --mqtt mqtts://HOST")  # fmt: skip
        return None
    try:
        scheme, host, port, prefix = address(url)
    except CarbonError as error:
        raise Failure(USAGE, f"--mqtt {url}: {error.what}", error.hint or "write mqtts://host:8883") from None
    if scheme not in ("mqtts", "mqtt"):
        raise Failure(USAGE, f"--mqtt {url} is no broker", "write mqtts://host:8883")
    if scheme == "mqtt" and host not in ("127.0.0.1", "::1", "localhost"):
        raise Failure(USAGE, f"without TLS a broker is on this machine only, not on {host}", "write mqtts://")
    if (cert is None) != (key is None):
        raise Failure(USAGE, "--mqtt-cert and --mqtt-key go together", "give both or none")
    if scheme == "mqtt" and (ca or cert):
        raise Failure(USAGE, "--mqtt-ca and --mqtt-cert are of TLS", "write mqtts://")
    try:
        from carbonterm_host.platform import broker as module
    except ImportError:
        raise Failure(USAGE, "paho-mqtt is not installed", "pip install 'carbonterm[platform]'") from None
    try:
        context = module.context(ca, cert, key) if scheme == "mqtts" else None
    except (OSError, ValueError) as error:
        raise Failure(USAGE, f"a file for the broker's TLS cannot be used: {error}", "give PEM files") from None
    return module.Broker(intake, host, port, prefix, context, _login(login) if login else None)


def _login(path: Path):
    try:
        lines = path.read_text().split("\n")
    except (OSError, ValueError) as error:
        raise Failure(USAGE, f"{path} cannot be read: {error}", "write user and password, a line each") from None
    if len(lines) < 2 or not lines[0].strip():
        raise Failure(USAGE, f"{path} has no two lines", "write the user on the first, the password on the second")
    return lines[0].strip(), lines[1].strip()
