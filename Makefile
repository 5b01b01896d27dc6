# Two commands do all the set-up: `make run` and `make test`.
# They need Python 3.11 or newer and make; the rest is installed into .venv.

SIZE ?=
BUDGET ?=
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help run test lab lint book site picture bench-load bench-noise bench-agreement bench-plans bench-linters bench-scale bench-cache lock clean

help:            ## list the targets
	@grep -E '^[a-z-]+: .*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

run: $(READY)    ## servers, data, every measurement, the book (SIZE=tiny|small|medium BUDGET=quick|standard|thorough)
	@$(BIN)/fluxlab run $(if $(SIZE),--size $(SIZE)) $(if $(BUDGET),--budget $(BUDGET))

test: $(READY)   ## the whole suite, on real servers, in two sessions side by side
	@$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

lab: $(READY)    ## JupyterLab on chapter 00
	@$(BIN)/jupyter trust notebooks/*.ipynb >/dev/null
	@$(BIN)/jupyter lab notebooks/00_start_here.ipynb

lint: $(READY)   ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

book: $(READY)   ## execute the chapters into notebooks/, where they are committed
	@$(BIN)/fluxlab book

site: $(READY)   ## build the site from the committed chapters
	@$(BIN)/fluxlab site

picture: $(READY) ## draw the README's picture from the measured run (needs Chromium)
	@$(BIN)/fluxlab picture

bench-load: $(READY) ## our loader against the server's own COPY, in pairs
	@$(BIN)/python benchmarks/bench_load.py

bench-noise: $(READY) ## every query against itself, three times: how much is called (SIZE=tiny|small)
	@$(BIN)/python benchmarks/bench_noise.py $(if $(SIZE),--size $(SIZE))

bench-agreement: $(READY) ## two standard runs of the same lab: do their words agree?
	@$(BIN)/python benchmarks/bench_agreement.py $(if $(SIZE),--size $(SIZE)) $(if $(BUDGET),--budget $(BUDGET))

bench-plans: $(READY) ## reading, judging and drawing plans of up to 500 nodes
	@$(BIN)/python benchmarks/bench_plans.py
	@$(BIN)/python benchmarks/bench_view.py

bench-linters: $(READY) ## our rules against two linters of plans, on the labelled corpus
	@PYTHONPATH=tests $(BIN)/python benchmarks/bench_linters.py

bench-scale: $(READY) ## ten statements with and without their indexes, at four sizes
	@$(BIN)/python benchmarks/bench_scale.py

bench-cache: $(READY) ## the cache beside redis-py, cashews, aiocache, dogpile
	@PYTHONPATH=tests $(BIN)/python benchmarks/bench_cache.py

lock:            ## resolve requirements.lock anew (needs uv)
	uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-annotate --no-header -q \
		-o requirements.lock

clean:           ## stop the servers; remove the environment, the state and the site
	-@test -x $(BIN)/fluxlab && $(BIN)/fluxlab down --erase
	rm -rf $(VENV) .fluxlab site/_build

$(READY): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "fluxlab needs Python 3.11 or newer; install it, or say make PYTHON=/path/to/python3."; exit 1; }
	@echo "Making the environment in $(VENV) (once, one to four minutes)."
	@$(PYTHON) -m venv --clear $(VENV) || { echo "Python's venv module is missing; on Debian: apt install python3-venv."; exit 1; }
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps -e .
	@mkdir -p $(VENV)/share/jupyter/lab/settings
	@cp etc/jupyter/overrides.json $(VENV)/share/jupyter/lab/settings/overrides.json
	@touch $(READY)
