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
FOLDED = $(if $(FOLDS),--folds $(FOLDS))
BUNDLE_ENV := outputs/.bundle-env

# Only the packages named here are needed; models and data come inside them.
export HF_HUB_OFFLINE ?= 1
export HF_HOME ?= $(CURDIR)/outputs/.hf
export MLFLOW_DISABLE_TELEMETRY ?= true
export MPLCONFIGDIR ?= $(CURDIR)/outputs/.matplotlib
export FORCE
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: help
help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'
	@printf '\n  Variables: CONFIG=configs/x.yaml SET="key=value …" CORPUS=pages.jsonl MODEL=folder-or-URI FILE=page.txt PORT=5000 PYTHON=python3\n             COLUMNS="theirs=ours …" ROLES="their-label=main …" KEEP=ours.jsonl JSON=report.json UNLABELLED=1 N=50 FOLDS=5\n'

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

.PHONY: setup
setup: $(if $(LOCKED),$(LOCKED_READY),$(READY)) ## Create .venv and install pinned dependencies; LOCKED=1: each file by its hash (CPython 3.11 on Linux, what CI does)

.PHONY: demo
demo: $(READY) ## The whole chain: corpus, check, split, train baseline and encoder, compare, register, export, label a page
	@$(RUN) demo

.PHONY: demo-short
demo-short: $(READY) ## The same chain on a fifth of the pages, with a store of its own, in outputs/short (what CI runs)
	@mkdir -p outputs/short
	@MLFLOW_TRACKING_URI="sqlite:///$(CURDIR)/outputs/short/mlflow.db" $(RUN) demo --short

.PHONY: corpus
corpus: $(READY) ## Compose the embedded corpus only (outputs/corpus/composed.jsonl.gz)
	@$(RUN) compose --output outputs/corpus/composed.jsonl.gz

.PHONY: sources
sources: $(READY) ## List the formats that CORPUS= may have
	@$(RUN) sources

.PHONY: check
check: $(READY) ## Check CORPUS= by named rules; KEEP=ours.jsonl converts it; refused pages go to outputs/quarantine.jsonl
	@$(RUN) check "$(call need,CORPUS,a labelled corpus)" $(NAMING) $(if $(UNLABELLED),--unlabelled) $(if $(KEEP),--keep "$(KEEP)") $(if $(JSON),--json "$(JSON)")

.PHONY: corpus-report
corpus-report: $(READY) ## Show CORPUS= as one HTML page of figures, findings and random pages (outputs/corpus-report.html)
	@$(RUN) corpus-report "$(call need,CORPUS,a labelled corpus)" $(NAMING) $(if $(UNLABELLED),--unlabelled)

.PHONY: split
split: $(READY) ## Split the corpus of CONFIG= by site and save it as outputs/split.json; SET= overrides keys
	@$(RUN) split --config $(call need,CONFIG,a config such as configs/pages-baseline.yaml) $(SET) --output outputs/split.json

.PHONY: leakage
leakage: $(READY) ## Show what the parts of a split share: of CONFIG=, or of MODEL=outputs/x with test scores without it
	@$(RUN) leakage $(if $(CONFIG),--config $(CONFIG)) $(if $(MODEL),--model $(MODEL)) $(SET) --json outputs/leakage.json

.PHONY: label-errors
label-errors: $(READY) ## Rank probable label errors of the corpus of CONFIG=, by 5-fold cross-validation (outputs/label-errors)
	@$(RUN) label-errors --config $(call need,CONFIG,a config such as configs/pages-baseline.yaml) $(SET)

.PHONY: suggest
suggest: $(READY) ## Pick N=50 unlabelled pages of CORPUS= to label next with MODEL=; Label Studio tasks in outputs/suggest
	@$(RUN) suggest --model $(or $(MODEL),models:/newsparts@champion) --corpus "$(call need,CORPUS,unlabelled pages)" --n $(or $(N),50) $(NAMING)

.PHONY: label-studio
label-studio: $(READY) ## Write CORPUS= as Label Studio tasks; MODEL= pre-annotates them (outputs/label-studio)
	@$(RUN) label-studio "$(call need,CORPUS,a corpus)" $(if $(MODEL),--model $(MODEL)) $(NAMING)

.PHONY: train
train: $(READY) ## Train CONFIG=configs/x.yaml with SET="key=value …"; a killed run goes on
	@$(RUN) fit --config $(call need,CONFIG,a config such as configs/pages-baseline.yaml) $(SET)

.PHONY: crossval
crossval: $(READY) ## Score CONFIG= by 5-fold (or FOLDS=) cross-validation over sites (outputs/crossval); SET= overrides keys
	@$(RUN) crossval --config $(call need,CONFIG,a config such as configs/pages-baseline.yaml) $(SET) $(if $(SLICE),--slice $(SLICE)) $(FOLDED)

.PHONY: tune
tune: $(READY) ## Search settings of CONFIG= with N=20 trials (Optuna), test pages left out; SPACE= METRIC= SAMPLER=random WORKERS=4 STORAGE=postgresql://…
	@$(RUN) tune --config $(call need,CONFIG,a config such as configs/pages-baseline.yaml) $(SET) --n $(or $(N),20) $(if $(SPACE),--space $(SPACE)) $(if $(METRIC),--metric $(METRIC)) $(if $(SAMPLER),--sampler $(SAMPLER)) $(if $(WORKERS),--workers $(WORKERS)) $(if $(STORAGE),--storage "$(STORAGE)")

.PHONY: ablate
ablate: $(READY) ## Cross-validate CONFIG=configs/ablations/x.yaml row by row, or ROW= alone (outputs/ablations)
	@$(RUN) ablate --config $(call need,CONFIG,an ablation such as configs/ablations/baseline.yaml) $(SET) $(if $(ROW),--row "$(ROW)") $(FOLDED)

.PHONY: transfer
transfer: $(READY) ## Train CONFIG= on each of CORPORA="a=a.jsonl b=b.jsonl", test on each (outputs/transfer)
	@$(RUN) transfer --config $(call need,CONFIG,a config such as configs/pages-baseline.yaml) $(SET) $(addprefix --corpus ,$(call need,CORPORA,two or more NAME=PATH)) $(FOLDED)

.PHONY: curve
curve: $(READY) ## Cross-validate CONFIG= with more and more sites (SITES="10 20 40 80 0"); GOAL="text/f1=0.95" extrapolates
	@$(RUN) curve --config $(call need,CONFIG,a config such as configs/pages-baseline.yaml) $(SET) $(addprefix --sites ,$(SITES)) $(addprefix --goal ,$(GOAL)) $(FOLDED)

.PHONY: beside
beside: $(VENV)/.beside ## Main text of MODEL= beside extractors of HTML on CORPUS=aeb:FOLDER (wcxb, cleaneval), or of RECORDS= of PAGES=; LANGUAGE=en OUT=
	@$(RUN) beside --corpus "$(call need,CORPUS,a benchmark such as aeb:FOLDER)" $(if $(call said,MODEL),--model "$(MODEL)") $(if $(RECORDS),--records "$(RECORDS)") $(if $(PAGES),--pages "$(PAGES)") $(if $(call said,LANGUAGE),--lang "$(LANGUAGE)") $(if $(OUT),--output "$(OUT)")

.PHONY: compare
compare: $(READY) ## Compare RUNS="outputs/demo-baseline outputs/demo-encoder" on their test pages: paired differences, cost, changes (outputs/compare.html)
	@$(RUN) compare $(call need,RUNS,output folders of two runs or more) $(if $(CORPUS),--corpus "$(CORPUS)")

.PHONY: evaluate
evaluate: $(READY) ## Score MODEL= on labelled CORPUS=, PART=test: of its split alone; SLICE=lang; KNOWN=1: topics of known stories
	@$(RUN) evaluate --model $(call need,MODEL,a model folder or URI) --corpus $(call need,CORPUS,a labelled corpus) $(if $(PART),--part $(PART)) $(if $(SLICE),--slice $(SLICE)) $(if $(KNOWN),--known-stories) --json outputs/evaluation.json

.PHONY: show
show: $(READY) ## Label FILE= (default configs/demo-page.txt) with MODEL= (default the champion) and print the page; HTML=page.html draws it
	@$(RUN) show --model $(or $(MODEL),models:/newsparts@champion) $(or $(FILE),configs/demo-page.txt) $(if $(HTML),--html "$(HTML)")

.PHONY: explain
explain: $(READY) ## Name the features that the baseline MODEL= goes by; with FILE=page.txt those that decided each segment
	@$(RUN) explain --model $(call need,MODEL,a baseline such as outputs/pages-baseline) $(FILE)

.PHONY: export
export: $(READY) ## Copy the bundle of MODEL= (default the champion) to outputs/bundle, every file and its answers on golden pages checked
	@$(RUN) export --model "$(or $(MODEL),models:/newsparts@champion)"

.PHONY: bundle-check
bundle-check: ## Install what the bundle of outputs/bundle (or BUNDLE=) needs into an environment of its own; label its golden pages there
	@rm -rf $(BUNDLE_ENV) && $(PYTHON) -m venv $(BUNDLE_ENV)
	@$(BUNDLE_ENV)/bin/python -m pip install --quiet --disable-pip-version-check -r $(BUNDLE)/requirements.txt
	@PYTHONPATH=$(BUNDLE) $(BUNDLE_ENV)/bin/python -m newsparts_runtime --check
	@printf 'installed: '; du -sm --exclude=pip --exclude=setuptools --exclude='*.pyc' $(BUNDLE_ENV)/lib | awk '{print $$1 " MB"}'

.PHONY: send
send: $(READY) ## Tell MLflow what it was not told of the run in MODEL=outputs/x because it was away (unsent.jsonl)
	@$(RUN) send --model $(call need,MODEL,the output folder of a run that left unsent.jsonl)

.PHONY: register
register: $(READY) ## Register the model of MODEL=outputs/x, a finished run, as the challenger
	@$(RUN) register --model $(call need,MODEL,the output folder of a finished run)

.PHONY: promote
promote: $(READY) ## Let the challenger (or VERSION=) serve when it passes configs/registry/gate.yaml; DRY=1 only tells; FORCE="why"; SET= limits
	@$(RUN) promote $(if $(call said,VERSION),--version "$(VERSION)") $(if $(call said,DRY),--dry-run) $(if $(call said,FORCE),--force "$$FORCE") $(if $(CORPUS),--corpus "$(CORPUS)") $(SET)

.PHONY: rollback
rollback: $(READY) ## Let the version serve again that served before the champion
	@$(RUN) rollback

.PHONY: serve
serve: $(READY) ## Serve MODEL= (default the champion) over HTTP on this machine, PORT=5001
	@$(RUN) serve --model "$(or $(MODEL),models:/newsparts@champion)" --port $(if $(filter command environment,$(origin PORT)),$(PORT),5001)

.PHONY: label
label: $(READY) ## Label CORPUS= of any size into the folder OUT= (Parquet parts) with MODEL=; run again, it goes on where it stopped
	@$(RUN) label "$(call need,CORPUS,pages)" --output "$(call need,OUT,a new folder)" --model "$(or $(MODEL),models:/newsparts@champion)" $(if $(COLUMNS),--columns "$(COLUMNS)")

.PHONY: drift
drift: $(READY) ## Compare CORPUS= with the pages MODEL= was tested on (outputs/drift.html); fails when they have shifted
	@$(RUN) drift "$(call need,CORPUS,new pages)" --model "$(or $(MODEL),models:/newsparts@champion)" $(if $(COLUMNS),--columns "$(COLUMNS)")

.PHONY: bench
bench: $(VENV)/.bench ## Measure models beside the usual way, and growth to 1M segments; SECTIONS="growth baseline labelling neighbours serving"
	@$(RUN) bench $(addprefix --section ,$(SECTIONS)) $(if $(MODEL),--model $(MODEL))

.PHONY: results
results: $(READY) ## Render the documents' tables from configs/results, where commands keep what they measured (RECORD=1)
	@$(RUN) results

# What is measured against.
$(VENV)/.bench: $(READY)
	@if $(MAKE) --no-print-directory extractors && $(PIP) fasttext-numpy2-wheel; then touch $@; \
	else echo "what cannot be installed is left out of the comparison"; fi

.PHONY: extractors
extractors: $(VENV)/.extractors $(VENV)/.beside ## Install trafilatura and readability-lxml, which label HTML for corpus.auxiliary (README, 'Sources'), and what else `make beside` compares

# In two calls, as pip 23 fails over two packages that ask for the same extra of lxml.
$(VENV)/.extractors: $(READY)
	@$(PIP) trafilatura && $(PIP) lxml_html_clean readability-lxml && touch $@

$(VENV)/.beside: $(READY)
	@all=yes; for name in trafilatura "lxml_html_clean readability-lxml" resiliparse newspaper4k boilerpy3 goose3 jusText; do \
	$(PIP) $$name || { all=no; echo "$$name cannot be installed: it is left out of comparisons"; }; done; test $$all = no || touch $@

.PHONY: ui
ui: $(READY) ## Open MLflow on the runs, on http://127.0.0.1:5000 or PORT=
	@$(RUN) ui --port $(PORT)

.PHONY: server
server: $(READY) ## Start an MLflow server for a team, with accounts: STORE=postgresql://… (default SQLite in outputs/server), PORT=
	@$(RUN) server --port $(PORT) $(if $(STORE),--store "$(STORE)")

# One thread a process, as two processes share two cores; a hanging test ends by name.
PYTEST := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -n $(or $(JOBS),2) --dist worksteal --max-worker-restart 0 -o faulthandler_timeout=1200 -o faulthandler_exit_on_timeout=true

.PHONY: test
test: $(READY) ## Run the quick tests, each kind of fault among them (sets up when needed; no network); JOBS=4: four processes
	@$(PYTEST) -m "not slow"

.PHONY: test-all
test-all: $(READY) ## Run every test, as CI does after `make extras`: kills, Spark, notebooks, a browser, 10,000 damaged inputs
	@NEWSPARTS_FUZZ=10000 $(PYTEST)

.PHONY: extras
extras: extractors spark .venv-label-studio ## Install what some tests need and skip without: extractors, PySpark, Label Studio's own code

.PHONY: test-slow
test-slow: $(READY) ## Kill every command 25 times, and the like, where `make test-all` tries a sample (30 minutes), and print what came of it (outputs/survival.md)
	@rm -f outputs/survival.jsonl outputs/survival.md && NEWSPARTS_SLOW=1 $(BIN)/python -m pytest tests/survival; ended=$$?; $(BIN)/python -m tests.helpers.survival_rows; exit $$ended

.PHONY: test-ui
test-ui: $(READY) ## Look at MLflow on the runs of RUNS=sqlite:///… (default: of make demo) in a browser; screenshots in outputs/screenshots
	@NEWSPARTS_RUNS="$(or $(RUNS),sqlite:///$(CURDIR)/mlflow.db)" $(BIN)/python -m pytest tests/browser/test_ui.py

.PHONY: behaviour
behaviour: $(READY) ## Test how MODEL= behaves: obvious pages, changes that must not matter, headings, hostile text
	@$(BIN)/python -m pytest tests/behaviour -v --model "$(or $(MODEL),models:/newsparts@champion)"

# Label Studio's own code checks our tasks in a test; it needs an older numpy than we do.
.venv-label-studio:
	$(PYTHON) -m venv $@ && $@/bin/python -m pip install --quiet --disable-pip-version-check label-studio-sdk==2.1.2 || { rm -rf $@; exit 1; }

.PHONY: spark
spark: $(VENV)/.spark ## Install PySpark, which labels on many machines (needs Java 17; README, 'Many pages')

$(VENV)/.spark: $(READY)
	@$(PIP) pyspark && touch $@

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
lock: .venv-audit ## Renew .ci/requirements.lock, the hashes that CI installs by, from pyproject.toml and constraints.txt (network)
	@mkdir -p outputs && .venv-audit/bin/pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras --no-annotate --no-header --extra dev --extra spark \
	  --constraint constraints.txt --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --output-file outputs/requirements.compiled pyproject.toml
	@.venv-audit/bin/python .ci/lock.py outputs/requirements.compiled .ci/requirements.lock

.PHONY: audit
audit: .venv-audit $(VENV)/.spark ## List licences, last releases and known holes of all dependencies (.ci/dependencies.md; network); fails when one is not well
	@.venv-audit/bin/python .ci/dependencies.py .ci/requirements.lock $(BIN)/python .ci/dependencies.md

.PHONY: clean
clean: ## Delete all that was made: .venv, outputs with every model, MLflow's runs and registry
	rm -rf $(VENV) .venv-label-studio .venv-audit outputs mlflow.db mlflow.db-shm mlflow.db-wal mlartifacts newsparts.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find train tests -name __pycache__ -type d -prune -exec rm -rf {} +

NAMING = $(if $(COLUMNS),--columns "$(COLUMNS)") $(if $(ROLES),--roles "$(ROLES)")
# Whether a variable was given on the command line: a chance FORCE or VERSION of the environment must promote nothing.
said = $(and $(filter command,$(origin $(1))),$($(1)))
need = $(or $($(1)),$(error make $@ needs $(1)=…: $(2)))
