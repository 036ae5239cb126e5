# Each target makes what it needs in .venv. PYTHON=python3.12 make test takes another interpreter.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DECLARED := setup.cfg pyproject.toml
# One more than there are processors, since tests that wait for servers leave theirs idle.
PARALLEL ?= $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)

.PHONY: help serve test fuzz bench lint docs clean

help:
	@echo "make serve   run the example application on http://localhost:6543 (make serve PORT=6544: on that port)"
	@echo "make test    run all tests, with each Python from 3.10 on that is here"
	@echo "make fuzz    run what 'make test' runs a part of: requests that race, random values, statements on owned rows,"
	@echo "             wrong answers of memcached, caches in all orders"
	@echo "make bench   measure what sessions cost, beside other libraries' (10 minutes; BENCH=--quick: 3)"
	@echo "make lint    style and types: ruff, mypy, pyright"
	@echo "make docs    build the documentation into docs/_build/html"
	@echo "make clean   remove everything that was made"

serve: $(VENV)/.serve
	PYTHONPATH=. $(BIN)/pserve example_app/development.ini $(if $(PORT),http_port=$(PORT))

test: $(VENV)/.tox
	@rm -rf .tox/results
	@$(BIN)/python tests/in_memory.py $(BIN)/tox run-parallel --parallel $(PARALLEL) --parallel-no-spinner; status=$$?; \
	$(BIN)/python tests/report.py .tox/results || status=1; exit $$status

fuzz: $(VENV)/.tox
	@$(BIN)/tox -q -e fuzz

bench: $(VENV)/.tox
	@$(BIN)/tox -q -e bench -- $(BENCH)

lint: $(VENV)/.tox
	@$(BIN)/tox -q -e lint

docs: $(VENV)/.tox
	@$(BIN)/tox -q -e docs
	@echo "The documentation is in docs/_build/html/index.html"

clean:
	rm -rf $(VENV) .tox build dist docs/_build *.egg-info .coverage* .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/pyvenv.cfg:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
	{ echo "Python 3.10 or later is needed: PYTHON=python3.12 make ..." >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
	{ rm -rf $(VENV); echo "$(PYTHON) has no venv module; on Debian: apt-get install python3-venv" >&2; exit 1; }

$(VENV)/.serve: $(VENV)/pyvenv.cfg $(DECLARED)
	@echo "Installing what the example application needs into $(VENV) (once) ..."
	@$(BIN)/python -m pip install --quiet --editable '.[example]'
	@touch $@

$(VENV)/.tox: $(VENV)/pyvenv.cfg $(DECLARED)
	@echo "Installing tox into $(VENV) (once) ..."
	@$(BIN)/python -m pip install --quiet 'tox>=4.11'
	@touch $@
