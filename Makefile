# make demo: install into .venv and take two networks the whole way.
# make test: install into .venv with the test tools and run everything that CI runs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

# One thread for BLAS: a second one loses more to its neighbours than it gains.
export OPENBLAS_NUM_THREADS ?= 1

.PHONY: demo test lint coverage golden without-compiler levels bench bench-check docs clean

demo: $(VENV)/installed
	$(BIN)/ncnn-assay --version
	cd $(VENV) && bin/ncnn-assay demo $(CURDIR)/demo-output

test: $(VENV)/installed-for-tests lint
	$(BIN)/python -m golden check
	$(BIN)/python -m pytest --benchmark-disable

# Every line and branch of spec/ is run by a test. Takes 7 minutes of a core.
coverage: $(VENV)/installed-for-tests
	HYPOTHESIS_PROFILE=ci $(BIN)/coverage run -m pytest -q --benchmark-disable
	$(BIN)/coverage report --fail-under=100

# Every recorded run of the real tools, on both engines. Takes 10 minutes of a core, most of them for the tables that the
# spec calibrates; more than half an hour on a busy machine.
golden: $(VENV)/installed-for-tests
	$(BIN)/ncnn-assay golden

lint: $(VENV)/installed-for-tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

# The same package where there is no C compiler: it installs, says so, and takes the whole way.
without-compiler:
	rm -rf $(VENV)-without-compiler
	$(PYTHON) -m venv $(VENV)-without-compiler
	CC=no-such-compiler $(VENV)-without-compiler/bin/pip install --quiet --disable-pip-version-check .
	cd $(VENV)-without-compiler && bin/ncnn-assay --version | grep 'compiled: no'
	cd $(VENV)-without-compiler && bin/ncnn-assay demo demo-output
	rm -rf $(VENV)-without-compiler

# The tests of plans at every level of kernels that this CPU can run; the others are named.
levels: $(VENV)/installed-for-tests
	$(BIN)/python -m tests.kernels.every_level

# Speed beside the real runtime: a table of times for each workload.
bench: $(VENV)/installed-for-tests
	$(BIN)/python -m pytest tests/benchmarks --benchmark-only --benchmark-group-by=group --benchmark-sort=name --benchmark-columns=min,median,rounds

# Ratios from runs that take turns, against the floors in tests/benchmarks/floors.json.
bench-check: $(VENV)/installed-for-tests
	$(BIN)/python -m tests.benchmarks.floors

docs: $(VENV)/installed-for-tests
	$(BIN)/python docs/build.py build/docs

clean:
	rm -rf $(VENV) build demo-output *.egg-info

SOURCES := pyproject.toml setup.py $(shell find spec fastpath golden conformance -name '*.py' 2>/dev/null)

$(BIN)/pip:
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: $(SOURCES) | $(BIN)/pip
	$(BIN)/pip install --quiet --disable-pip-version-check '.[wheel]'
	touch $@

$(VENV)/installed-for-tests: $(SOURCES) | $(BIN)/pip
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[test]'
	touch $@ $(VENV)/installed
