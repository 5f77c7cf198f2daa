# Everything here works on a fresh clone with Python 3.11 or newer, git and make: `make demo` is the start.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SETUP := $(VENV)/.setup
SETUP_DOCS := $(VENV)/.setup-docs
SETUP_FUZZ := $(VENV)/.setup-fuzz
WORKERS ?= 2

.DEFAULT_GOAL := help
.PHONY: help setup demo test check lint docs bench reliability wheel image lock bases fuzz clean

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' $(firstword $(MAKEFILE_LIST)) | expand -t 16

setup: $(SETUP) ## make .venv with the project and its development tools

$(SETUP): pyproject.toml hatch_build.py
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Python 3.11 or newer is needed; $(PYTHON) is $$($(PYTHON) --version 2>&1)." >&2; \
	  echo "Name another one: make PYTHON=python3.12" >&2; exit 1; }
	@test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV) || { \
	  echo "$(PYTHON) -m venv failed; on Debian and Ubuntu install the package python3-venv." >&2; exit 1; }
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --editable ".[lsp,signatures,traces,webhook]" --group dev
	@touch $@

demo: $(SETUP) ## lint the example namespace, which has deliberate mistakes
	@echo '$$ tidewaiter lint deploy/examples/payments-broken'
	@$(BIN)/tidewaiter lint deploy/examples/payments-broken; code=$$?; \
	  if [ $$code -eq 1 ]; then \
	    echo; echo "The mistakes are deliberate, so the demo worked: lint found them and exited with 1."; \
	    echo "deploy/examples/payments is the same namespace without them. Try it on your"; \
	    echo "own manifests: $(BIN)/tidewaiter lint PATH"; \
	  else \
	    echo "lint exited with $$code where 1 (findings) is expected" >&2; exit 1; \
	  fi

# The end-to-end tests share one API server, so one process runs them; each worker would start its own.
test: $(SETUP) ## run every test; the first run takes 10 to 20 minutes more, to build API servers and helm with Go
	$(BIN)/python -m pytest -n $(WORKERS) -m "not e2e"
	$(BIN)/python -m pytest tests/e2e

check: $(SETUP) ## the quick round: style, types and the tests that take no time
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -n $(WORKERS) -m "not slow and not e2e"

lint: $(SETUP) ## style, format, types and import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(SETUP_DOCS) ## build the documentation into site/
	$(BIN)/python docs/generate.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

$(SETUP_DOCS): $(SETUP)
	$(BIN)/python -m pip install --quiet --group docs
	@touch $@

bench: $(SETUP) ## time lint over deploy/examples; CORPUS=DIR takes other manifests, PEERS more options
	$(BIN)/python bench/lint.py --corpus $(or $(CORPUS),deploy/examples) $(PEERS)

reliability: $(SETUP) ## break things, and write what came of it into docs/reliability.md
	TIDEWAITER_WRITE_RELIABILITY=1 $(BIN)/python -m pytest tests/e2e/faults

wheel: $(SETUP) ## build the wheel into dist/
	rm -f dist/tidewaiter-*.whl
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .

IMAGE ?= tidewaiter:dev
image: wheel ## build the container image with Docker's buildx, for this platform
	docker buildx build --load --file deploy/image/Dockerfile --tag $(IMAGE) .

lock: $(SETUP) ## lock the image's packages and the release's tools anew; UPGRADE=1 takes newer versions
	UV=$(BIN)/uv deploy/image/lock.sh $(if $(UPGRADE),--upgrade)

bases: $(SETUP) ## pin the image's bases to the digests that their tags have now
	$(BIN)/python deploy/image/bases.py --update

FUZZ_SECONDS ?= 180
TARGETS ?= manifests images admission registries bundles policies expressions
fuzz: $(SETUP_FUZZ) ## look for input that breaks a reader, three minutes for each; TARGETS and FUZZ_SECONDS choose
	@for target in $(TARGETS); do \
	  echo "== $$target"; \
	  $(BIN)/python -m tests.fuzz.run $$target --seconds $(FUZZ_SECONDS) || exit 1; \
	done

$(SETUP_FUZZ): $(SETUP)
	$(BIN)/python -m pip install --quiet --group fuzz
	@touch $@

clean: ## remove what the other targets made
	rm -rf .fuzz $(VENV) site docs/rules docs/security.md build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
