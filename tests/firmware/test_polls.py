"""More than four open connections beside a TLS stream kill MicroPython 1.28 unless the port makes room before."""

import subprocess

import pytest

import runtimes


@pytest.mark.parametrize("runtime", ("micropython", "micropython32"))
def test_many_descriptors_beside_a_stream_without_one(runtime):
    try:
        command, environment = runtimes.command(runtime)
    except runtimes.Unavailable as reason:
        pytest.skip(str(reason))
    done = subprocess.run(
        [*command, "tests/firmware/polls.py"], cwd=runtimes.ROOT, env=environment, capture_output=True, text=True,
        timeout=180,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "alive\n"), done.stderr[-1000:]
