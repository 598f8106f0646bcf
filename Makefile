# make setup   the environment, in .venv
# make demo    draws faces, trains a BadNet on them, and repairs it
# make serve   a Prefect server with its page, a worker, and all deployments; Ctrl-C stops it
# make test    the tests; make test-all also the slow ones, make test-fast those that need
#              neither TensorFlow nor a server
# make check   format, lint, types, and which floor imports which
# make docs    the documentation as a site, in build/site
# make sbom    all packages that GoodNet needs, build/goodnet.cdx.json
# make bench   timings of the sweep, side by side with the plain loop; BENCH=--full at the lab's size
# make tables  the tables of the documents, from benchmarks/results/

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready
SPREAD := -n 2 --dist loadfile --no-loadscope-reorder  # the order is tests/conftest.py's

.PHONY: setup demo serve test test-all test-fast check format docs sbom bench tables

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
	$(BIN)/python -m pytest -m "not slow" $(SPREAD)

test-fast: $(READY)
	$(BIN)/python -m pytest -m "not slow" --fast $(SPREAD)

test-all: $(READY)
	$(BIN)/python -m pytest

docs: $(READY)
	$(BIN)/python -m tools.site_pages build/pages
	$(BIN)/zensical build --strict --clean

sbom: $(READY)
	$(BIN)/python -m tools.sbom build/goodnet.cdx.json

bench: $(READY)
	$(BIN)/python -m benchmarks.sweep $(BENCH)

tables: $(READY)
	$(BIN)/python -m benchmarks.tables

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
