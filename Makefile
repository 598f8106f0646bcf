# make setup   the environment, in .venv
# make demo    made data and a made suspect, repaired
# make serve   a Prefect server with its page, a worker, and all deployments; Ctrl-C stops it
# make test    the tests; make test-all also the slow ones
# make check   format, lint, types, and which floor imports which
# make bench   timings against the plain way, side by side; BENCH=--full at the lab's size

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready

.PHONY: setup demo serve test test-all check format bench

setup: $(READY)

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: $(READY)
	$(BIN)/python -m flows.demo

serve: $(READY)
	@$(BIN)/python -m flows.serve

test: $(READY)
	$(BIN)/python -m pytest -m "not slow" -n 2 --dist loadfile

test-all: $(READY)
	$(BIN)/python -m pytest

bench: $(READY)
	$(BIN)/python -m benchmarks.sweep $(BENCH)

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
