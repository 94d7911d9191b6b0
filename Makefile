PYTHON ?= python3
VENV = .venv
PIP_FLAGS ?=
LAB_FLAGS ?=

BIN = $(VENV)/bin
INSTALLED = $(VENV)/.installed
NOTEBOOK = notebooks/quickstart.ipynb
NOTEBOOKS = $(wildcard notebooks/*.ipynb) notebooks/architectures $(wildcard tutorials/*.ipynb)

# What interrupts busy threads is tested first and with nothing beside it.
INTERRUPTING = tests/testbed/cluster/test_stop.py tests/messaging/test_executions.py

# Two at a time, each file by itself: much of the time, tests wait for engines and browsers.
BESIDE = -n 2 --dist loadfile

.DEFAULT_GOAL := help
.PHONY: help demo lab course check test coverage test-ipykernel6 fuzz test-newest test-all chaos bench clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# torch first and alone: it is by far the largest download, and a failure there shows at once. nbgrader comes along for the tests
# of the course; its menus and panels in JupyterLab would only be in the way.
$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --disable-pip-version-check $(PIP_FLAGS) -c constraints.txt torch==2.13.0
	$(BIN)/python -m pip install -q --disable-pip-version-check $(PIP_FLAGS) -c constraints.txt -e '.[test]'
	$(BIN)/jupyter labextension disable --level=sys_prefix @jupyter/nbgrader
	touch $@

demo: $(INSTALLED)  ## run the quickstart notebook, print its accuracy, leave build/quickstart.html
	$(BIN)/python scripts/demo.py

# JupyterLab refuses to run as root, which is who one is in most containers, unless told to.
lab: $(INSTALLED)  ## open the quickstart notebook in JupyterLab
	$(BIN)/jupyter lab $(if $(filter 0,$(shell id -u)),--allow-root) --ServerApp.root_dir=. $(LAB_FLAGS) $(NOTEBOOK)

course: $(INSTALLED)  ## build the lessons of tutorials/ as a site, which is browsed offline: tutorials/build/site
	$(BIN)/python -m pip install -q --disable-pip-version-check $(PIP_FLAGS) -c constraints.txt -e '.[course]'
	$(BIN)/python tutorials/pages.py

check: $(INSTALLED)  ## format, ruff, biome, types of scripts, mypy, import contracts, limits of style
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/biome ci roleml_nb/widgets tests/widgets
	$(BIN)/python scripts/check_types.py
	$(BIN)/mypy roleml_nb
	$(BIN)/lint-imports --no-cache
	$(BIN)/python scripts/style.py --check

test: check  ## check, then the tests, then the notebooks through nbval
	$(BIN)/pytest $(INTERRUPTING)
	$(BIN)/pytest $(BESIDE) $(INTERRUPTING:%=--ignore=%) --ignore=tests/browser
	$(BIN)/pytest $(BESIDE) tests/browser
	$(BIN)/pytest $(BESIDE) --nbval --nbval-current-env --nbval-cell-timeout=300 \
		--nbval-sanitize-with roleml_nb/sanitize.cfg -p no:cacheprovider $(NOTEBOOKS)

# Not with the rest: coverage traces each line, in Python 3.11 at twice the time, and so other threads get other turns.
coverage: $(INSTALLED)  ## which lines of the package the tests run, and which they do not
	$(BIN)/pytest $(BESIDE) --cov=roleml_nb --cov-report=term $(INTERRUPTING:%=--ignore=%) --ignore=tests/browser

# Beside the venv, which has ipykernel 7: kernels, and the tests, import what lies there first.
test-ipykernel6: $(INSTALLED)  ## the tests that concern the kernel, with ipykernel 6
	$(BIN)/python -m pip install -q --disable-pip-version-check $(PIP_FLAGS) --upgrade --no-deps --target build/ipykernel6 \
		'ipykernel>=6.29,<7' nest-asyncio
	PYTHONPATH=build/ipykernel6 $(BIN)/python -c 'import ipykernel; print("ipykernel", ipykernel.__version__)'
	PYTHONPATH=$(CURDIR)/build/ipykernel6 $(BIN)/pytest $(BESIDE) tests/test_elsewhere.py tests/habits tests/magics tests/widgets
	PYTHONPATH=$(CURDIR)/build/ipykernel6 $(BIN)/pytest --nbval --nbval-current-env --nbval-cell-timeout=300 \
		--nbval-sanitize-with roleml_nb/sanitize.cfg -p no:cacheprovider $(NOTEBOOK)

# FUZZ_TIMES=n tries n times as many examples as `make test` does; 40, if it does not say.
fuzz: $(INSTALLED)  ## the fuzzers of tests/fuzz, for minutes instead of seconds, with other examples each time
	FUZZ=1 $(BIN)/pytest --timeout=3600 $(BESIDE) tests/fuzz

# In a venv of its own, made anew each time, without constraints.txt. torch stays as it is: it is by far the largest download, and
# its newest builds are not to be had everywhere.
NEWEST = build/newest
test-newest:  ## the tests, with the newest release of everything that pyproject.toml allows
	$(PYTHON) -m venv --clear $(NEWEST)
	$(NEWEST)/bin/python -m pip install -q --disable-pip-version-check $(PIP_FLAGS) torch==2.13.0
	$(NEWEST)/bin/python -m pip install -q --disable-pip-version-check $(PIP_FLAGS) -e '.[test]'
	@echo "not as in constraints.txt:"
	@$(NEWEST)/bin/python -m pip freeze --exclude-editable | grep -vixFf constraints.txt || true
	$(NEWEST)/bin/pytest $(INTERRUPTING)
	$(NEWEST)/bin/pytest $(BESIDE) $(INTERRUPTING:%=--ignore=%) --ignore=tests/browser
	$(NEWEST)/bin/pytest $(BESIDE) tests/browser

test-all: test test-ipykernel6 test-newest fuzz chaos  ## all the tests there are: before a release, and before an issue is closed

MINUTES ?= 20

chaos: $(INSTALLED)  ## kill, freeze and cut off engines under every architecture; then traffic with everybody looking, for MINUTES=20
	$(BIN)/python benchmarks/chaos.py --trials 3
	$(BIN)/python benchmarks/observed.py --minutes $(MINUTES)

bench: $(INSTALLED)  ## measure, and print ratios
	$(BIN)/python benchmarks/messages.py
	$(BIN)/python benchmarks/memory.py
	$(BIN)/python benchmarks/trace_memory.py
	$(BIN)/python benchmarks/edit_and_see.py
	$(BIN)/python benchmarks/version_check.py
	$(BIN)/python benchmarks/fedavg_round.py
	$(BIN)/python benchmarks/gossip.py
	$(BIN)/python benchmarks/memory_of_models.py
	$(BIN)/python benchmarks/node_lost.py
	$(BIN)/python benchmarks/stop_run.py
	$(BIN)/python benchmarks/board.py
	$(BIN)/python benchmarks/views.py
	$(BIN)/python benchmarks/mnist1d_accuracy.py

clean:  ## remove the venv, build output and caches
	rm -rf $(VENV) build tutorials/build *.egg-info .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
