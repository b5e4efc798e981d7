"""SM2, SM3 and SM4: ours on MicroPython of both word sizes against its own floor and against PyPI gmssl on CPython;
the host's verification through libcrypto against gmssl, against `openssl speed sm2`, and on two threads.

The floor of a signature is its one multiplication k·G. gmssl is given the nonce, so that its random generator is not
measured. Every figure is the best of interleaved rounds: of fresh processes that compute for some 0.1 s, wall clock,
where MicroPython is measured, which has no other; of CPU time where both contenders run on the host.
"""

import re
import subprocess
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

from tools.bench.measure import Unavailable, command, per_call, rounds, row

PRIVATE = "3945208f7b2144b13f36e38ac6d39f95889393692860b51a42fb81ef4df7c5b8"
NONCE = "59276e27d506861a16680f3ad9c02dccef3cc1fa3cdbe4ce6d54b80deac1bc21"

OURS = f"""
from carbonterm.gm import sm2, sm3, sm4
from carbonterm.gm.curve import multiply_base
signer = sm2.Signer(bytes.fromhex("{PRIVATE}"))
message = b"m" * 200
signature = signer.sign(message)
k = 0x{NONCE}
block = b"b" * 1024
cipher, counter = sm4.Cipher(bytes(16)), bytes(16)
assert sm2.verify(signer.public, message, signature)
"""
PORTABLE = OURS + "sm3._compress = sm3.compress_python\n"
GMSSL = f"""
from carbonterm.gm import sm2
from gmssl.sm2 import CryptSM2
from gmssl.sm3 import sm3_hash
message = b"m" * 200
signer = sm2.Signer(bytes.fromhex("{PRIVATE}"))
peer = CryptSM2(private_key="{PRIVATE}", public_key="")
peer.public_key = signer.public.hex()
block = b"b" * 1024
signature = peer.sign_with_sm3(message, "{NONCE}")
assert sm2.verify(signer.public, message, bytes.fromhex(signature))
"""
HOST = f"""
from carbonterm.gm import sm2
from carbonterm_host import gm_openssl
message = b"m" * 200
public = sm2.public(bytes.fromhex("{PRIVATE}"))
signature = sm2.sign(bytes.fromhex("{PRIVATE}"), message)
assert gm_openssl.verify(public, message, signature)
"""

# name: (setup, statement, runs in a round, runtime)
VIPER = {"micropython": 20, "micropython32": 100}  # times as fast as the portable path
CONTENDERS = {
    "gmssl sign": (GMSSL, f"peer.sign_with_sm3(message, '{NONCE}')", 10, "cpython"),
    "gmssl verify": (GMSSL, "peer.verify_with_sm3(signature, message)", 8, "cpython"),
    "gmssl sm3": (GMSSL, "sm3_hash(list(block))", 20, "cpython"),
    "gmssl verify, CPU": (GMSSL, "peer.verify_with_sm3(signature, message)", 8, "CPU"),
    "core verify": (OURS, "sm2.verify(signer.public, message, signature)", 30, "CPU"),
    "openssl verify": (HOST, "gm_openssl.verify(public, message, signature)", 200, "CPU"),
}
for _runtime in ("micropython", "micropython32"):
    CONTENDERS |= {
        f"{_runtime} sign": (OURS, "signer.sign(message)", 50, _runtime),
        f"{_runtime} kG": (OURS, "multiply_base(k)", 60, _runtime),
        f"{_runtime} verify": (OURS, "sm2.verify(signer.public, message, signature)", 15, _runtime),
        f"{_runtime} sm3": (OURS, "sm3.digest(block)", 2000, _runtime),
        f"{_runtime} sm4": (OURS, "cipher.ctr(counter, block)", 2000, _runtime),
        f"{_runtime} sm3 python": (PORTABLE, "sm3.digest(block)", 40, _runtime),
    }


def run():
    """Rows of every runtime that is here; the 64-bit MicroPython must be."""
    command("micropython")
    wanted = dict(CONTENDERS)
    try:
        command("micropython32")
    except Unavailable:
        wanted = {name: value for name, value in wanted.items() if not name.startswith("micropython32")}
    found = rounds({name: _contender(*value) for name, value in wanted.items()}, count=5, warm=1)
    best = {name: samples.best * 1000 for name, samples in found.items()}
    rows = []
    for runtime in ("micropython", "micropython32"):
        if f"{runtime} sign" not in best:
            continue
        sign, kg, verify, sm3, portable, sm4 = (
            best[f"{runtime} {name}"] for name in ("sign", "kG", "verify", "sm3", "sm3 python", "sm4")
        )
        rows += [
            at_most(f"SM2 sign, {runtime}", sign, "own k·G", kg, 1.4),
            at_least(f"SM2 sign, {runtime}", sign, "gmssl on CPython", best["gmssl sign"], 4),
            at_most(f"SM2 verify, {runtime}", verify, "own sign", sign, 4),
            row(f"SM2 verify, {runtime}", verify, "ms", "gmssl on CPython", best["gmssl verify"],
                f"{best['gmssl verify'] / verify:.2f}x as fast"),
            at_least(f"SM3 per KB, viper, {runtime}", sm3, "portable path", portable, VIPER[runtime]),
            at_most(f"SM4-CTR per KB, viper, {runtime}", sm4, "SM3 per KB", sm3, 2),
            row(f"SM3 per KB, viper, {runtime}", sm3, "ms", "gmssl on CPython", best["gmssl sm3"],
                f"{best['gmssl sm3'] / sm3:.1f}x as fast"),
        ]  # fmt: skip
    ours = best["core verify"]
    peer = best["gmssl verify, CPU"]
    rows.append(row("SM2 verify, platform, core", ours, "ms", "gmssl", peer, f"{peer / ours:.1f}x as fast"))
    rows.append(at_least("SM2 verify, platform, openssl", best["openssl verify"], "gmssl", peer, 25))
    return rows + _against_openssl()


def _against_openssl():
    """Our calls of libcrypto beside its own speed program, in turns, both by CPU time; then the same calls, by the
    clock on the wall, on two threads beside two processes, which share no lock, and beside one thread: they meet the
    same other work of the machine, so that threads and processes can be compared under load too."""
    ours, peer, single, two, apart = [], [], [], [], []
    with ProcessPoolExecutor(2) as pool:
        list(pool.map(_verifications, (1, 1)))  # both are there
        for _ in range(5):
            ours.append(_cpu_rate())
            said = subprocess.run(["openssl", "speed", "-seconds", "1", "sm2"], capture_output=True, text=True).stdout
            peer.append(float(re.search(r"SM2.*?([\d.]+)\s*$", said, re.M)[1]))
            with ThreadPoolExecutor(2) as threads:
                single.append(_rate(threads, 1))
                two.append(_rate(threads, 2))
            apart.append(_rate(pool, 2))
    one, speed, both, most = max(ours), max(peer), max(two), max(apart)
    return [
        row("SM2 verify, platform, openssl", one, "1/s", "openssl speed sm2", speed, f"{speed / one:.2f}x its time",
            "<= 1.3x", speed / one <= 1.3),
        row("… on two threads", both, "1/s", "on two processes", most, f"{both / most:.2f}x as many", ">= 0.85x",
            both / most >= 0.85),
        row("… on two threads", both, "1/s", "on one", max(single), f"{both / max(single):.2f}x as many"),
    ]  # fmt: skip


def _cpu_rate(number=1500):
    """Verifications in a second of this thread's CPU time, which is what `openssl speed` counts too."""
    _verifications(1)
    begin = time.thread_time()
    _verifications(number)
    return number / (time.thread_time() - begin)


def _rate(pool, workers, number=1500):
    """Verifications a second of `workers` in the pool, wall clock."""
    _verifications(1)
    begin = time.perf_counter()
    list(pool.map(_verifications, [number] * workers))
    return workers * number / (time.perf_counter() - begin)


_space = {}


def _verifications(number):
    if not _space:
        exec(HOST, _space)
    verify, public, message, signature = (_space[n] for n in ("gm_openssl", "public", "message", "signature"))
    for _ in range(number):
        verify.verify(public, message, signature)


def at_most(what, figure, peer, peer_figure, limit):
    ratio = figure / peer_figure
    return row(what, figure, "ms", peer, peer_figure, f"{ratio:.2f}x its time", f"<= {limit}x", ratio <= limit)


def at_least(what, figure, peer, peer_figure, limit):
    ratio = peer_figure / figure
    return row(what, figure, "ms", peer, peer_figure, f"{ratio:.1f}x as fast", f">= {limit}x", ratio >= limit)


def _contender(setup, statement, number, runtime):
    if runtime == "CPU":
        return lambda: _cpu_call(setup, statement, number)
    return lambda: per_call(setup, statement, number, runtime)


def _cpu_call(setup, statement, number):
    """Seconds of CPU time that one run of `statement` takes here: no other work of the machine is in it."""
    space, code = {}, compile(statement, "statement", "eval")
    exec(setup, space)
    eval(code, space)
    begin = time.thread_time()
    for _ in range(number):
        eval(code, space)
    return (time.thread_time() - begin) / number


if __name__ == "__main__":
    from tools.bench.__main__ import main

    raise SystemExit(main(["gm"]))
