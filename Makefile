# make setup | demo | check | test | bench | conformance      (everything goes to .venv and build/)
PYTHON ?= python3
BIN := .venv/bin

.PHONY: setup demo check test bench conformance clean

setup: .venv/ready

.venv/ready: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python >= 3.11 is needed; name one with PYTHON=..." >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/pip install -q --disable-pip-version-check -e '.[platform,reports,tests]'
	@touch $@

demo: setup
	$(BIN)/carbonterm demo

check: setup
	$(BIN)/ruff check
	$(BIN)/python -m pytest -q -n 2 --dist loadfile -m "not slow"

test: setup
	$(BIN)/ruff check
	$(BIN)/python -m pytest -n 2 --dist loadfile --record build/tests.json

bench: setup
	$(BIN)/python -m tools.bench

conformance: test
	$(BIN)/python tools/conformance.py build/tests.json -o docs/conformance.md

clean:
	rm -rf build
