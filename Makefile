# `make demo` and `make test` do all the set-up themselves and are quick when it is already done.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: help demo study test test-fast check bench clean require

help:
	@echo 'make demo       set up, then train an LSTM on the four-state system and judge it (about a minute)'
	@echo 'make study      set up, then a study of twelve runs and its analysis (about four minutes on two cores)'
	@echo 'make test       set up, then run every test; ends with the count'
	@echo 'make test-fast  the tests that are not marked slow, browser, wheel, slurm or postgres'
	@echo 'make check      format, lint and types'
	@echo 'make bench      speed of the parts, as ratios'
	@echo 'make clean      remove the environment and caches'

demo: $(VENV)/.demo
	$(BIN)/mdlm train

study: $(VENV)/.demo
	$(BIN)/mdlm train -m experiment=demo
	$(BIN)/mdlm study analyse outputs/study/demo

test: $(VENV)/.test
	$(BIN)/python -m pytest

test-fast: $(VENV)/.test
	$(BIN)/python -m pytest -m 'not slow and not browser and not wheel and not slurm and not postgres'

check: $(VENV)/.test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: $(VENV)/.test
	$(BIN)/python benchmarks/four_state.py
	$(BIN)/python benchmarks/sampling.py
	$(BIN)/python benchmarks/training.py
	$(BIN)/python benchmarks/states.py
	$(BIN)/python benchmarks/whole_run.py

require:
	@command -v $(PYTHON) >/dev/null || { echo 'make: python3 is missing; install Python 3.11 or newer'; exit 1; }
	@command -v git >/dev/null || { echo 'make: git is missing; install it'; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "make: $$($(PYTHON) --version) is too old; install Python 3.11 or newer, or name one: make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
	  { echo 'make: python3 has no venv module; install it (Debian, Ubuntu: apt install python3-venv)'; exit 1; }

$(VENV)/.demo: pyproject.toml constraints.txt | require
	@echo 'Setting up $(VENV) (a few minutes the first time)'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) torch
	$(PIP) -e .
	@touch $@

# PyEMMA comes as source only and is optional: its tests skip, and say why, where it cannot be built.
$(VENV)/.test: $(VENV)/.demo
	$(PIP) -e '.[dev,hdf5,simulate,cluster]'
	@if command -v cc >/dev/null || command -v gcc >/dev/null; then \
	  $(PIP) -e '.[pyemma]' || echo 'make: PyEMMA could not be built; its tests will be skipped'; \
	else echo 'make: no C compiler, so no PyEMMA; its tests will be skipped'; fi
	@touch $@

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache build dist
