# Two commands matter: `make demo` and `make test`. Both make a virtual environment first.
#
#   VENV=DIR      the environment; an existing one is reused (default .venv)
#   PYTHON=EXE    the interpreter that makes it, 3.11 or newer (default python3)
#   WORKERS=N     test processes (default 2; each wants about 1.5 GB of memory)
#   TESTS=...     what pytest is given, e.g. TESTS=tests/em or TESTS="-k allocation"

VENV ?= .venv
PYTHON ?= python3
WORKERS ?= 2
TESTS ?=

BIN := $(VENV)/bin
# The stamp is named after what was installed and from where: another pyproject.toml, another
# constraints.txt or another checkout installs again, a touched file does not.
STAMP := $(VENV)/.mase-$(shell { pwd; cat pyproject.toml constraints.txt; } | cksum | cut -d' ' -f1)

export DO_NOT_TRACK := 1
export PREFECT_SERVER_ANALYTICS_ENABLED := false
export MLFLOW_DISABLE_TELEMETRY := true

.PHONY: help install demo test check lint format clean

help:
	@echo 'make demo    install, then run the ablation table on the embedded data (minutes, no download)'
	@echo 'make test    install, then ruff, pyright and every test'
	@echo 'make check   ruff (rules and layout) and pyright'
	@echo 'make format  sort imports, fix what ruff can fix, lay out the code'
	@echo 'make clean   remove caches and .venv; the results in .mase stay'

install: $(STAMP)

$(STAMP):
	@[ -x $(BIN)/python ] || $(PYTHON) --version >/dev/null 2>&1 || \
	  { echo 'error: $(PYTHON) not found; name an interpreter, as in: make PYTHON=python3.11' >&2; exit 1; }
	@[ -x $(BIN)/python ] || $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo 'error: mase needs Python 3.11 or newer; name one, as in: make PYTHON=python3.11' >&2; exit 1; }
	[ -x $(BIN)/python ] || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo 'error: $(VENV) has a Python older than 3.11; remove it or set VENV' >&2; exit 1; }
	@echo 'Installing into $(VENV): about 6 GB, some minutes the first time.'
	$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e '.[test]'
	@rm -f $(VENV)/.mase-*
	@touch $@

demo: install
	$(BIN)/mase reproduce

test: check
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --durations=15 $(TESTS)

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python

lint: check

format: install
	$(BIN)/ruff check --fix --exit-zero --quiet .
	$(BIN)/ruff format .

clean:
	rm -rf .venv build dist .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
