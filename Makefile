# The platform's commands. Each installs what it needs by itself; see docs/how-to/install.md.
SHELL := /bin/bash
.DEFAULT_GOAL := help
BOOT := bash bdap_hub/demo/bootstrap.sh
ENGINE ?= docker
AREA ?=
WORKERS ?= 2
LOCK := uv pip compile --generate-hashes --no-emit-index-url --no-header -q
PLATFORM := --universal --python-version 3.12 --override images/overrides.txt
IMAGE := --python-platform linux --python-version 3.13 --override ../overrides.txt

.PHONY: help demo test check unit bench images lock docs clean

help: ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):[^#]*## /\1\t/' | expand -t 10

demo: ## the whole platform on this machine (ENGINE=process without Docker, BDAP_STORE=/path for your own imagery)
	@exec $(BOOT) demo bdap demo --engine $(ENGINE)

test: ## everything: check, then all tests with Docker and a real browser (WORKERS=0: one folder after the other)
	@$(BOOT) test $(MAKE) --no-print-directory _check
	@exec $(BOOT) test python -m bdap_hub.demo.with_engine pytest -q -n $(WORKERS) --durations=30 --durations-min=5

check: ## formatting, lint, types, import rules
	@exec $(BOOT) check $(MAKE) --no-print-directory _check

_check:
	ruff check .
	ruff format --check .
	mypy
	lint-imports

unit: ## the tests that need neither Docker nor a browser
	@exec $(BOOT) unit pytest -q -m "not docker and not browser"

bench: ## one area's figures beside its peer's: make bench AREA=processing
	@test -n "$(AREA)" || { echo "which area? make bench AREA=$$(ls bench | tr '\n' '|')"; exit 2; }
	@exec $(BOOT) test python -m bdap_hub.demo.with_engine python -m bench.$(AREA)

images: ## build what is missing or out of date of the images (gpu on demand: bdap images build gpu)
	@exec $(BOOT) demo python -m bdap_hub.demo.with_engine bdap images list

lock: ## resolve all dependencies anew
	@exec $(BOOT) check $(MAKE) --no-print-directory _lock

_lock:
	$(LOCK) $(PLATFORM) pyproject.toml --all-extras --group check --group test -o requirements.lock
	$(LOCK) $(PLATFORM) pyproject.toml ansible/build.in -c requirements.lock -o ansible/platform.lock \
	    --extra hub --extra services --extra processing --extra catalogue --extra dashboards --extra batch --extra demo
	cd images/tools && $(LOCK) --universal --python-version 3.12 requirements.in -o requirements.lock
	cd bdap_hub/demo/node && $(LOCK) --universal --python-version 3.12 requirements.in -o requirements.lock
	cd images/base && $(LOCK) $(IMAGE) requirements.in -o requirements.lock
	cd images/lab && $(LOCK) $(IMAGE) requirements.in -c ../base/requirements.lock -o requirements.lock
	cd images/lab-vois && $(LOCK) $(IMAGE) --no-annotate requirements.in -o requirements.lock \
	    -c <(grep -oE '^[a-z0-9-]+==[^ ]+' ../lab/requirements.lock | grep -vE '^(ipyvuetify|ipyvue|plotly)==')
	cd images/dashboard && $(LOCK) $(IMAGE) requirements.in -c ../base/requirements.lock -o requirements.lock
	cd images/dashboard-vois && $(LOCK) $(IMAGE) --no-annotate requirements.in -o requirements.lock \
	    -c <(grep -oE '^[a-z0-9-]+==[^ ]+' ../dashboard/requirements.lock | grep -vE '^(ipyvuetify|ipyvue|plotly)==')
	cd images/udf && $(LOCK) $(IMAGE) requirements.in -c ../base/requirements.lock -o requirements.lock
	cd images/gpu && for variant in cuda cpu; do \
	    $(LOCK) $(IMAGE) $$variant.in -c ../lab/requirements.lock -o $$variant.lock || exit 1; done
	for folder in bdap_hub/demo/node tests/identity/fidelity; do \
	    (cd $$folder && npm install --package-lock-only --omit-lockfile-registry-resolved=true) || exit 1; done

docs: ## the settings reference, from the settings tree
	@exec $(BOOT) demo bdap docs

clean: ## remove environments and caches; var/ with its state stays
	rm -rf .venv .venv-trixie .mypy_cache .ruff_cache .pytest_cache .import_linter_cache artifacts var/node var/node-widgets var/node-fidelity
