PYTHON ?= python3
VENV ?= .venv
PIP_FLAGS ?=
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: help demo lab check test bench clean
help: ## show this list
	@grep -E '^[a-z]+:.*##' Makefile | sed 's/:.*## /\t/'

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q --disable-pip-version-check $(PIP_FLAGS) -c constraints.txt "$$(grep '^torch==' constraints.txt)"
	$(BIN)/pip install -q --disable-pip-version-check $(PIP_FLAGS) -c constraints.txt -e '.[test]'
	touch $(READY)

demo: $(READY) ## run the quickstart headless; results under build/
	$(BIN)/python scripts/demo.py

lab: $(READY) ## open the quickstart in JupyterLab
	$(BIN)/jupyter lab notebooks/quickstart.ipynb

check: $(READY) ## ruff, mypy, import contracts
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

test: check ## every check: style, types, imports, tests, notebooks
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/pytest --cov=roleml_nb --cov-report=term
	$(BIN)/pytest --nbval --nbval-current-env --nbval-cell-timeout=300 --nbval-sanitize-with notebooks/sanitize.cfg notebooks

bench: $(READY) ## measure; prints ratios
	$(BIN)/python benchmarks/message_latency.py
	$(BIN)/python benchmarks/fedavg_round.py

clean: ## remove what the targets above have made
	rm -rf $(VENV) build *.egg-info .coverage
