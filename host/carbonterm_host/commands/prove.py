"""`carbonterm prove`: one entry of a bundle as a file that proves itself (docs/formats.md, "Proof")."""

import os
from pathlib import Path

import typer

from carbonterm.errors import LedgerError
from carbonterm.ledger import entry, proof
from carbonterm_host import bundles
from carbonterm_host.proofs import Book
from carbonterm_host.screen import JSON, UNVERIFIED, USAGE, Failure, put, say


def main(
    file: Path = typer.Argument(help="FILE.bundle"),
    seq: int = typer.Argument(min=0, help="number of the entry · 记录序号"),
    epoch: int | None = typer.Option(None, min=0, help="epoch; without it the last that has the entry · 纪元"),
    output: Path = typer.Option(..., "-o", "--output", help="FILE.proof"),
    json: bool = JSON,
):
    """Take one entry out of a bundle with all that proves it; check it with carbonterm verify · 单条存证."""
    found = bundles.read(file)
    try:
        book = Book(found)
        index = book.find(seq, epoch)
        made = book.prove(index)
    except LedgerError as error:
        raise Failure(USAGE, f"{file}: {error.what}", error.hint) from None
    verdicts, reasons = book.check(made)
    if False in verdicts.values():
        why = next(reasons[name] for name in proof.VERDICTS if verdicts[name] is False)
        raise Failure(UNVERIFIED, f"{file}: entry {seq} proves nothing: {why}", "see carbonterm verify")
    data = proof.encode(made)
    new = f"{output}.new"
    try:
        with open(new, "wb") as opened:
            opened.write(data)
        os.replace(new, output)
    except OSError as error:
        raise Failure(USAGE, f"{output} cannot be written: {error.strerror}", "choose another file with -o") from None
    kind = entry.KINDS[book.entries[index].kind]
    if json:
        put({
            "file": str(output), "bytes": len(data), "terminal": made.terminal_id, "epoch": made.epoch, "seq": made.seq,
            "kind": kind, "checkpoint": made.size, "path": [one.hex() for one in made.path],
            "cosigned": [name for name, _ in made.centres],
        })  # fmt: skip
    else:
        print(say(f"entry {seq} ({kind}) under the checkpoint over {made.size} entries, {len(data)} bytes → {output}",
                  f"第 {made.seq} 条（{kind}），检查点覆盖 {made.size} 条，{len(data)} 字节 → {output}"))  # fmt: skip
