# Two commands: `make run` (everything up, with demo data) and `make test` (everything checked). Both need only Python 3.11+.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help install browser run test lint types docs bench clean

help: ## what can be made
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

install: $(VENV)/.installed ## the virtual environment in .venv, every version pinned

$(VENV)/.installed: setup.cfg pyproject.toml constraints.txt Makefile
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; name it with: make PYTHON=python3.11 install" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { echo "This Python brings no venv; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

run: install ## embedded PostgreSQL, migrations, demo data, API and worker, until Ctrl-C
	@exec $(BIN)/mediation up --demo --sandbox

# The page of a case file is opened in a real browser. Where none is installed and none can be, those tests are skipped.
browser:
	@command -v chromium >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
		&& echo "Installing Chromium for the tests of the case file's page" \
		&& { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
		chromium fonts-wqy-microhei; } >/dev/null 2>&1; } || echo "No Chromium: its tests are skipped (Debian: apt install chromium fonts-wqy-microhei)" >&2

# The leaves need no database, so they are tested beside the application, on another core.
test: install browser lint types ## everything, on a real PostgreSQL that it brings itself
	@log=$$(mktemp); $(BIN)/python -m pytest --ignore tests/mediation >$$log 2>&1 & leaves=$$!; \
		trap 'kill $$leaves' INT TERM; \
		$(BIN)/python -m pytest tests/mediation; application=$$?; \
		wait $$leaves; leaves=$$?; cat $$log; rm -f $$log; \
		exit $$((application > leaves ? application : leaves))

lint: install ## style and the import law
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: install ## static types
	$(BIN)/mypy

docs: install ## the diagram and the table of docs/lifecycle.md, written anew from the procedure
	$(BIN)/mediation procedure --write docs/lifecycle.md

bench: install ## ratios for docs/performance.md
	$(BIN)/python -m benchmarks

clean: ## remove the virtual environment and caches (never var/)
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis build *.egg-info
