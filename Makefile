# Two commands: `make demo` runs the main job, `make test` passes the tests. Both set up what they need.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin

# Options of the demo.
HOST  ?= 127.0.0.1
PORT  ?= 5000
NOTES ?= 2000
ONCE  ?=
DATA  ?= var/$(if $(ONCE),once,demo)

# Options of the chaos.
N    ?= 1000
SEED ?= 7
DB   ?= sqlite

.PHONY: demo test chaos lint types check format clean chromium bench-peers

demo: $(VENV)/.installed
	@$(BIN)/python -m demo $(if $(ONCE),--once) --host $(HOST) --port $(PORT) --notes "$(NOTES)" --data "$(DATA)"

test: $(VENV)/.installed chromium
	$(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder $(ARGS)

# N kills on a real deployment, and other faults among them; what the seed says happens again with
# the same seed.
chaos: $(VENV)/.installed
	@$(BIN)/python -m tests.chaos --kills "$(N)" --seed "$(SEED)" --db "$(DB)"

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed
	$(BIN)/mypy

check: lint types test

format: $(VENV)/.installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(VENV)/.installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or later is missing; name it with PYTHON=..."; exit 1; }
	@$(PYTHON) -m venv $(VENV) \
	  || { echo "Python's venv module is missing; on Debian: apt-get install python3-venv"; exit 1; }
	@echo "Installing packages into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[postgres,demo,test]' \
	  || { echo "pip could not install the packages; look at the network and pip's settings"; exit 1; }
	@touch $@

# The browser tests want a Chromium; where none is found and we may, it comes from the system's packages.
chromium:
	@command -v chromium chromium-browser google-chrome >/dev/null 2>&1 && exit 0; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  echo "Installing Chromium ..."; \
	  (apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core) >/dev/null; \
	fi; \
	command -v chromium chromium-browser google-chrome >/dev/null 2>&1 \
	  || { echo "Chromium is missing; install it (on Debian: apt-get install chromium)"; exit 1; }

# What the benches compare with; without them they go on, and say so.
bench-peers: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check 'dlt[sql_database]' requests django splink recordlinkage

clean:
	rm -rf $(VENV) var build dist *.egg-info
