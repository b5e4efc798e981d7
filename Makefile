# carbonterm: everything goes to .venv and build/. `make` alone says what there is.
# PYTHON=… names another interpreter for .venv, PYTEST=… hands options to pytest (make check PYTEST="-k modbus"),
# TORTURE=… to the sweeps (make torture TORTURE="storage --seed 7"), SOAK=… to the soak (make soak SOAK="--hours 1"),
# FUZZ=… to the fuzzing (make fuzz FUZZ="cjt188 --seed 7").

PYTHON ?= python3 python3.13 python3.12 python3.11
PYTEST ?=
TORTURE ?=
FUZZ ?=
SOAK ?=
BIN := .venv/bin
# one more than processors, because firmware tests wait for lines; a file's tests stay together, because each file is
# run once on each runtime
WORKERS = -n $$(n=$$(nproc); echo $$((n < 8 ? n + 1 : 8))) --dist loadfile

# tests are compiled once and kept: compiling them anew, in each worker, is half of `make check`
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup demo check test torture fuzz soak bench conformance clean

help:
	@echo "make setup        .venv with everything in it; then .venv/bin/carbonterm runs"
	@echo "make demo         the whole chain on this machine, from a meter's bytes to a verified tonne"
	@echo "make check        lint and the fast tests, under a minute"
	@echo "make test         lint and all tests on CPython, MicroPython and 32-bit MicroPython"
	@echo "make torture      power cuts at every write, full disks, flipped bits: counts what was tried and what was violated"
	@echo "make soak         a day of 30 meters with every fault in simulated time: ground truth against the log, some minutes"
	@echo "make fuzz         a million mutated and random streams through each codec, on MicroPython too: counts violations"
	@echo "make bench        the benchmarks, beside their peers; build/bench.md"
	@echo "make conformance  all tests, then docs/conformance.md: which requirement is proven by which test"
	@echo "make clean        removes build/ and caches; .venv stays"

setup: .venv/ready
	@echo "ready: .venv/bin/carbonterm --help"

.venv/ready: pyproject.toml
	@set -e; \
	new='import sys; sys.exit(sys.version_info < (3, 11))'; python=; \
	for p in $(PYTHON); do if $$p -c "$$new" 2>/dev/null; then python=$$p; break; fi; done; \
	if [ -z "$$python" ]; then \
	  echo "make: Python 3.11 or later is needed: install it, or name one with make PYTHON=/path/to/python" >&2; exit 1; fi; \
	if ! $(BIN)/python -c "$$new" 2>/dev/null; then \
	  if ! $$python -c 'import ensurepip, venv' 2>/dev/null; then \
	    echo "make: $$python cannot make virtual environments; on Debian and Ubuntu: apt-get install python3-venv" >&2; \
	    exit 1; fi; \
	  echo "making .venv with $$($$python -V)"; $$python -m venv --clear .venv; fi; \
	echo "installing carbonterm and what it needs into .venv"; \
	PYTHONWARNINGS=ignore $(BIN)/python -m pip install -q --disable-pip-version-check -e '.[boards,bridges,platform,reports,tests]' || { \
	  echo "make: pip could not install everything; mend what it says above and run make setup again" >&2; exit 1; }
	@rm -rf carbonterm.egg-info # with it here pytest takes all our packages for a plugin's and rewrites their asserts
	@touch $@

demo: .venv/ready
	$(BIN)/carbonterm demo

check: .venv/ready
	$(BIN)/ruff check -q --output-format concise
	$(BIN)/python -m pytest -q $(WORKERS) -m "not slow" $(PYTEST)

test: .venv/ready
	$(BIN)/ruff check -q --output-format concise
	$(BIN)/python -m pytest -q $(WORKERS) --record=build/tests.json $(PYTEST)

torture: .venv/ready
	$(BIN)/python -m tools.torture $(TORTURE)

soak: .venv/ready
	$(BIN)/python -m tools.soak $(SOAK)

fuzz: .venv/ready
	$(BIN)/python -m tools.fuzz $(FUZZ)

bench: .venv/ready
	$(BIN)/python -m tools.bench

conformance: test
	$(BIN)/python tools/conformance.py build/tests.json -o docs/conformance.md

clean:
	rm -rf build dist .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
