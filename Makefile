# Two commands do all the set-up: `make run` and `make test`. Everything else stands on the same environment.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
HOME_DIR ?= qinglan-data
PORT   ?= 8000

.PHONY: run demo test check bench docs lock wheel clean help

help:            ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

.stamp-run: requirements/run.txt pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements/run.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

.stamp-test: requirements/test.txt pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements/test.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@ .stamp-run

run: .stamp-run  ## simulate the province, judge its plan, print the verdict and serve the console
	$(BIN)/qinglan --home $(HOME_DIR) run --demo
	$(BIN)/qinglan --home $(HOME_DIR) serve --port $(PORT)

demo: .stamp-run ## the same without the console
	$(BIN)/qinglan --home $(HOME_DIR) run --demo

test: .stamp-test ## install what tests need (also Chromium, fonts, Java when permitted) and run them all
	@bash scripts/system-packages
	$(BIN)/python -m pytest -n 2 --dist loadscope

check: .stamp-test ## format, lint, types, import direction
	$(BIN)/ruff format --check src tests benchmarks docs
	$(BIN)/ruff check src tests benchmarks docs
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: .stamp-test ## time the main jobs beside their peers
	$(BIN)/python -m benchmarks

docs: .stamp-test ## regenerate the reference tables and build the site
	$(BIN)/python docs/generate_reference.py
	$(BIN)/mkdocs build --quiet --strict

wheel: .stamp-test
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir dist .

lock:            ## resolve the pins again (hashes, no registry address)
	bash scripts/lock

clean:
	rm -rf $(VENV) .stamp-* dist build site artifacts $(HOME_DIR) .pytest_cache .mypy_cache .ruff_cache
