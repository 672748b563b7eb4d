# make demo    install the core into .venv and do the main job once
# make test    the same with the test extras, then the whole suite
# Needs make and Python 3.11 or newer; name another one with PYTHON=python3.12

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check
OUT    := demo-out

# two files of tests at a time; make PARALLEL= test runs them one after the other
PARALLEL ?= -n 2 --dist loadfile

.PHONY: demo test test-all lint bench clean

demo: $(VENV)/core.installed
	@mkdir -p $(OUT)
	$(BIN)/qnroute problem --network geant --hardware repeater --repeaters 250 --slot 1 \
	    --requests 40 --seed 1 --weight 1:3 --memory 8 --channels 2 \
	    --objective log-success --serve-reward 15 --out $(OUT)/geant.json
	$(BIN)/qnroute compare $(OUT)/geant.json \
	    --methods shortest-path,greedy,density-greedy,static,exact --out $(OUT)/geant.csv
	$(BIN)/qnroute solve $(OUT)/geant.json --out $(OUT)/geant.result.json > $(OUT)/geant.txt
	$(BIN)/qnroute check $(OUT)/geant.json $(OUT)/geant.result.json

test: $(VENV)/test.installed
	$(BIN)/python -m pytest $(PARALLEL)

test-all: $(VENV)/test.installed
	$(BIN)/python -m pytest $(PARALLEL) -m "slow or not slow"

lint: $(VENV)/test.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

bench: $(VENV)/test.installed
	$(BIN)/qnroute bench building

clean:
	rm -rf $(VENV) $(OUT) build dist *.egg-info

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "qnroute needs Python 3.11 or newer; name one with: make PYTHON=python3.12 ..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/core.installed: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP) install --quiet --constraint constraints.txt --editable .
	@touch $@

$(VENV)/test.installed: $(VENV)/core.installed
	$(PIP) install --quiet --constraint constraints.txt --editable ".[test]"
	@touch $@
