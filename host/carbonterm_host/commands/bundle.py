"""`carbonterm bundle --openssl`: the parts of a bundle as files, and a script that needs only openssl >= 3.0."""

from pathlib import Path

import typer

from carbonterm.errors import LedgerError
from carbonterm.gm.der import public_to_pem, signature_to_der
from carbonterm.ledger import checkpoint, entry
from carbonterm_host import bundles
from carbonterm_host.screen import JSON, UNVERIFIED, USAGE, Failure, put, say

# every line of `list` is a key and a message; its signature lies beside it
SCRIPT = """\
#!/bin/sh
# {what}: checks every SM2 signature with openssl (>= 3.0) alone; exit 0 only if all are right.
cd "$(dirname "$0")" || exit 2
good=0 bad=0
while read -r key file; do
  if openssl pkeyutl -verify -pubin -inkey "$key" -rawin -digest sm3 -pkeyopt distid:1234567812345678 \\
    -in "$file" -sigfile "$file.sig" >/dev/null 2>&1
  then good=$((good + 1)); else bad=$((bad + 1)); echo "BAD $file"; fi
done <list
echo "$good of {count} signatures right, $bad wrong"
[ "$bad" -eq 0 ] && [ "$good" -eq {count} ]
"""


def write(found, folder):
    """Writes the Bundle's keys, entries, checkpoints and the script to `folder`. Returns the number of signatures."""
    rows = []

    def signed(key, name, message, signature):
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        if path.exists():
            raise LedgerError(f"the bundle has two of {name}")
        path.write_bytes(message)
        path.with_name(path.name + ".sig").write_bytes(signature_to_der(signature))
        rows.append(f"{key} {name}\n")

    for epoch, public in found.keys.items():
        (folder / f"key-{epoch}.pem").write_text(public_to_pem(public))
    for index, public in enumerate(found.centres.values()):
        (folder / f"centre-{index}.pem").write_text(public_to_pem(public))
    ends = list(found.ended.values())
    for raw, fingerprint in [(one.entry, one.fingerprint) for one in ends] + found.entries:
        one = entry.decode(raw)
        signed(f"key-{one.epoch}.pem", f"entries/{one.epoch:05}-{one.seq:010}.cbor", raw, fingerprint)
    for text in [one.checkpoint for one in ends] + found.checkpoints:
        head = checkpoint.parse(text)
        name = f"checkpoints/{head.epoch:05}-{head.size:010}.txt"
        if head.name not in [row[0] for row in head.signatures]:
            raise LedgerError(f"the checkpoint over {head.size} entries is not signed by {head.name}")
        for signer, _, time_s, signature in head.signatures:
            if signer == head.name:
                signed(f"key-{head.epoch}.pem", name, head.body.encode(), signature)
            elif signer in found.centres:
                index = list(found.centres).index(signer)
                message = checkpoint.cosigned_message(head.body, time_s)
                signed(f"centre-{index}.pem", f"{name[:-4]}-centre-{index}.txt", message, signature)
    (folder / "list").write_text("".join(rows))
    script = folder / "verify.sh"
    script.write_text(SCRIPT.format(what=f"carbonterm bundle of {found.terminal_id}", count=len(rows)))
    script.chmod(0o755)
    return len(rows)


def main(
    file: Path = typer.Argument(help="FILE.bundle"),
    openssl: Path = typer.Option(..., "--openssl", help="empty or new folder to write · 写入的新目录"),
    json: bool = JSON,
):
    """Write a bundle's entries and checkpoints as files with a script for plain openssl · 供第三方用 openssl 核验."""
    if openssl.exists() and (not openssl.is_dir() or any(openssl.iterdir())):
        raise Failure(USAGE, f"{openssl} is there and not an empty folder", "name a folder that does not exist yet")
    found = bundles.read(file)
    if not found.checkpoints:
        raise Failure(UNVERIFIED, f"{file} has no checkpoint: nothing shows that the log is whole", "pull it again")
    openssl.mkdir(parents=True, exist_ok=True)
    try:
        count = write(found, openssl)
    except LedgerError as error:
        raise Failure(UNVERIFIED, f"{file}: {error.what}", "see carbonterm verify for all that is wrong") from None
    if json:
        put({"folder": str(openssl), "script": str(openssl / "verify.sh"), "signatures": count})
    else:
        print(say(f"{count} signatures → sh {openssl}/verify.sh", f"{count} 个签名 → sh {openssl}/verify.sh"))
