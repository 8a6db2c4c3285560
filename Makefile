# Everything that one does with a checkout. Needs git, make and Python >= 3.11: each command makes .venv and installs what it needs.

BIN := .venv/bin
# The first Python that is new enough; `make PYTHON=... test` names another.
PYTHON := $(shell for python in python3 python3.13 python3.12 python3.11 python; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
# Two workers on two cores: each keeps to one thread.
ONE_THREAD := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1

.PHONY: help demo test test-peers bench lint format clean
.NOTPARALLEL:

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

demo: .venv/with-plot ## train two nets on handwritten digits: under a minute
	@$(BIN)/python apps/digits.py

test: lint ## formatting, types and every test; ARGS="-k conv" chooses among the tests
	@$(ONE_THREAD) $(BIN)/python -m pytest -n 2 $(ARGS)

test-peers: .venv/with-test .venv/with-peers ## compare nn and optim with PyTorch and JAX (installs both)
	@$(BIN)/python -m pytest tests/peers $(ARGS)

bench: .venv/with-bench ## time and memory beside PyTorch, JAX and autograd (installs them)
	@$(BIN)/python -m benchmarks $(ARGS)

lint: .venv/with-test ## formatting and types only
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

format: .venv/with-test ## put the code into its form, and mend what ruff can mend
	@$(BIN)/ruff check --fix-only .
	@$(BIN)/ruff format .

clean: ## remove .venv, caches and what the apps wrote
	rm -rf .venv out build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# .venv/with-EXTRA: the package itself (editable) and one of its extras. Installed again when pyproject.toml changes.
.venv/with-%: pyproject.toml | .venv/made
	@echo "Installing needle with [$*] into .venv ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[$*]'
	@touch $@

.venv/made:
	@[ -n "$(PYTHON)" ] || { echo "needle needs Python 3.11 or newer; found $$(python3 --version 2>&1)." \
		"Install one, or name it: make PYTHON=/path/to/python test" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "needle needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1)." >&2; exit 1; }
	@$(PYTHON) -m venv .venv
	@touch $@
