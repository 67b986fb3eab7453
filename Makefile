# plenary. `make` alone lists what there is.
VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
WORKERS ?= 2
# What is installed beside plenary: dev is everything that tests need; `view` is enough to run it.
EXTRAS ?= dev
PYTEST := $(BIN)/python -m pytest -q -n $(WORKERS) --dist worksteal
NOT_HERE := not network and not gpu

.DEFAULT_GOAL := help
.PHONY: help setup quickstart test test-all check lint types imports bench docs format clean

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.installed ## make the environment ($(VENV)) and install plenary into it

$(VENV)/.installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "1 of 2: PyTorch (on Linux some GB with CUDA; without an accelerator see TORCH_INDEX in the README)"
	@$(BIN)/python -m pip install --quiet "torch==2.13.0" $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX))
	@echo "2 of 2: plenary with the extras [$(EXTRAS)] and about 200 packages: some minutes, silent"
	@$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[$(EXTRAS)]"
	@touch $@

quickstart: setup ## set up, then run the whole chain with the model that ships with plenary
	$(BIN)/plenary run configs/quickstart.yaml --exists replace

check: setup lint types imports ## before a commit: lint, types, import order, quick tests
	$(PYTEST) -m "not slow and not exhaustive and $(NOT_HERE)"

test: setup ## every test but the exhaustive ones; without network or accelerator
	$(PYTEST) -m "not exhaustive and $(NOT_HERE)"

test-all: setup ## every test, with rates over many simulations, kills in every mode and big sweeps
	$(PYTEST) -m "$(NOT_HERE)"

lint:
	$(BIN)/ruff check .

types:
	$(BIN)/pyright --pythonpath $(BIN)/python

imports:
	$(BIN)/lint-imports

format: setup ## lay the code out anew
	$(BIN)/ruff check --fix . && $(BIN)/ruff format .

bench: setup ## run every benchmark (quick form) and render docs/benchmarks.md
	$(BIN)/python benchmarks/run_all.py --quick

docs: setup ## check links and paths in the documents, then build the site into build/site
	$(BIN)/python -m pytest -q tests/test_documents.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet

clean: ## remove what builds and tests leave behind (runs are kept)
	rm -rf .pytest_cache .ruff_cache .import_linter_cache .hypothesis dist build .ci-venv
