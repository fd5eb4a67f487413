# The two commands that matter: `make serve` and `make test`. Everything they need is set up on the way. `make help` lists all.

# uv: the one on PATH, or else one that pip puts beside the project.
UV := $(shell command -v uv 2>/dev/null || echo .uv/bin/uv)
# Python 3.13: the one on PATH, or pyenv's, or else whatever uv finds or fetches by itself.
PYTHON_VERSION := 3.13
FOUND_PYTHON := $(shell \
	python$(PYTHON_VERSION) -c 'import sys; print(sys.executable)' 2>/dev/null \
	|| { prefix=$$(pyenv prefix $(PYTHON_VERSION) 2>/dev/null) && echo "$$prefix/bin/python"; })
ifneq ($(FOUND_PYTHON),)
export UV_PYTHON := $(FOUND_PYTHON)
endif
# What uv is installed with: any Python 3 that has pip.
PIP_PYTHON := $(shell for python in python3 python; do $$python -m pip --version >/dev/null 2>&1 && echo $$python && break; done)

RUN := $(UV) run --frozen
LAYER_EXPORT := $(UV) export --frozen --quiet --no-dev --no-emit-project --no-header --no-annotate
# What only `obscura serve` needs, and Lambda does not.
LAPTOP_ONLY := --prune uvicorn --prune uvloop --prune typer --prune rich --prune prometheus-client

# The AWS SAM CLI, from an environment of its own; python3.13 and pip for its builds come from there too.
SAM := SAM_CLI_TELEMETRY=0 PATH="$(CURDIR)/sam/.venv/bin:$$PATH" sam
# The processor that layers are built for: `make build ARCHITECTURE=x86_64` goes with the parameter of the same name.
ARCHITECTURE := arm64
HOST_ARCHITECTURE := $(if $(filter aarch64 arm64,$(shell uname -m)),arm64,x86_64)

.PHONY: help serve test unit browser mutation lint format benchmark benchmark-lambda conformance structure layers setup clean validate scan prune build deploy build-host rehearse \
	local-lambda managed-template fargate-template

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

serve: setup ## the gateway on http://127.0.0.1:8000 (SERVE="--port 9000")
	@$(RUN) obscura serve $(SERVE)

# The coverage gate is in pyproject.toml, and holds for the whole suite alone.
test: setup build-host browser ## all tests, with the coverage gate (TEST="tests/api -k files" for a part, without the gate)
ifeq ($(TEST),)
	@$(RUN) coverage erase
	$(RUN) coverage run -m pytest -n auto --dist worksteal --ignore=tests/lambda_
	$(RUN) pytest tests/lambda_
	@$(RUN) coverage combine --quiet
	@$(RUN) coverage report
else
	$(RUN) pytest $(TEST)
endif

# Compiled tests are kept even where PYTHONDONTWRITEBYTECODE is set: to compile them takes as long as a third of the run.
unit: setup ## unit tests: no server, no build, under a minute on two cores
	PYTHONDONTWRITEBYTECODE= $(RUN) pytest -n auto --dist worksteal tests/unit

browser: setup ## Chromium for tests/browser, from npm (CHROMIUM=/path for what is not Linux on x86_64)
	@$(RUN) python -m tests.support.chromium

# Of a schedule of its own, in a group of dependencies of its own (ADR 84): it takes hours, or minutes with a sample.
mutation: setup ## mutation score of the security-critical modules (MUTATION="--only jwt --sample 20")
	nice -n 19 $(RUN) --group mutation python -m tests.mutation $(MUTATION)

lint: setup ## style, types, import contracts, vocabulary, spelling, stale exports
	$(UV) lock --check
	$(RUN) ruff check
	$(RUN) ruff format --check
	$(RUN) mypy
	$(RUN) lint-imports
	@$(RUN) python -m tests.vocabulary
	$(RUN) codespell
	@$(MAKE) --no-print-directory layers LAYER_REQUIREMENTS=.layers
	diff -u layers/gateway/requirements.txt .layers/gateway/requirements.txt
	diff -u layers/imaging/requirements.txt .layers/imaging/requirements.txt
	diff -u layers/heic/requirements.txt .layers/heic/requirements.txt
	diff -u layers/documents/requirements.txt .layers/documents/requirements.txt
	diff -u layers/policy/requirements.txt .layers/policy/requirements.txt

format: setup ## fix style
	$(RUN) ruff check --fix
	$(RUN) ruff format

benchmark: setup ## images and the gateway, beside other gateways
	$(RUN) python -m benchmarks.image
	$(RUN) python -m benchmarks.gateway

benchmark-lambda: setup build-host ## cold and warm starts of the built functions
	$(RUN) python -m benchmarks.lambda_

# Of others' tools, in environments of their own; it writes docs/conformance.md, but not if JUDGE names some of them.
conformance: setup conformance/.venv/.synced conformance/node/node_modules/.synced ## tools of others against the gateway (JUDGE="langchain")
	$(RUN) python -m conformance $(JUDGE)

conformance/.venv/.synced: conformance/pyproject.toml conformance/uv.lock
	$(UV) sync --project conformance --frozen --quiet
	@touch $@

conformance/node/node_modules/.synced: conformance/node/package.json conformance/node/package-lock.json
	npm ci --prefix conformance/node --no-audit --no-fund --loglevel=error
	@touch $@

# The layers' requirements are exported from uv.lock; `make lint` fails when they are stale.
LAYER_REQUIREMENTS := layers
layers: setup ## export the layers' requirements from uv.lock
	@mkdir -p $(addprefix $(LAYER_REQUIREMENTS)/,gateway imaging heic documents policy)
	@$(LAYER_EXPORT) --prune pillow --prune pi-heif --prune pypdfium2 --prune google-re2 $(LAPTOP_ONLY) \
		-o $(LAYER_REQUIREMENTS)/gateway/requirements.txt >/dev/null
	@$(LAYER_EXPORT) --only-group imaging-layer -o $(LAYER_REQUIREMENTS)/imaging/requirements.txt >/dev/null
	@$(LAYER_EXPORT) --only-group heic-layer --prune pillow -o $(LAYER_REQUIREMENTS)/heic/requirements.txt >/dev/null
	@$(LAYER_EXPORT) --only-group documents-layer -o $(LAYER_REQUIREMENTS)/documents/requirements.txt >/dev/null
	@$(LAYER_EXPORT) --only-group policy-layer -o $(LAYER_REQUIREMENTS)/policy/requirements.txt >/dev/null

# What `sam build && sam deploy --guided` needs, for who has no SAM CLI: then `make deploy`.
build: ## sam build, with a SAM CLI of its own
build: sam/.venv/.synced
	ARCHITECTURE=$(ARCHITECTURE) $(SAM) build --parameter-overrides Architecture=$(ARCHITECTURE)

deploy: build ## sam deploy --guided
	$(SAM) deploy --guided $(DEPLOY)

managed-template: setup ## template-managed.yaml from template.yaml, after a change of either
	@$(RUN) python -m rehearsal.managed

fargate-template: setup ## template-fargate.yaml from template-container.yaml, after a change of either
	@$(RUN) python -m rehearsal.fargate

STACK := obscura
prune: setup ## delete all but the two newest versions of a deployed stack's functions (STACK=obscura)
	@$(RUN) python -m rehearsal.prune $(STACK)

TEMPLATES := $(wildcard template*.yaml)
SAM_TEMPLATES := $(shell grep -l '^Transform: AWS::Serverless' $(TEMPLATES))
validate: sam/.venv/.synced ## sam validate --lint, cfn-lint, of every template
	@for template in $(SAM_TEMPLATES); do $(SAM) validate --lint --template-file $$template || exit 1; done
	sam/.venv/bin/cfn-lint $(TEMPLATES)

# It finds nothing but what .checkov.yaml accepts, with reasons (ADR 155).
scan: checkov/.venv/.synced ## checkov, of every template
	checkov/.venv/bin/checkov --config-file .checkov.yaml $(addprefix --file ,$(TEMPLATES))

# The same artefacts for this machine's processor, for Lambda's runtime emulator.
build-host: .aws-sam/host/template.yaml ## sam build for this machine's processor

BUILT_FROM := template.yaml $(shell find layers functions -type f -not -path '*/__pycache__/*')
.aws-sam/host/template.yaml: sam/.venv/.synced $(BUILT_FROM)
	ARCHITECTURE=$(HOST_ARCHITECTURE) $(SAM) build --build-dir .aws-sam/host --parameter-overrides Architecture=$(HOST_ARCHITECTURE)

rehearse: setup build-host ## the deployment, without an account
	@$(RUN) python -m rehearsal

# One event to one function: make local-lambda FUNCTION=chat EVENT=events/chat.json
FUNCTION := chat
EVENT := events/$(FUNCTION).json
local-lambda: setup build-host ## one event to one built function (FUNCTION=chat)
	@$(RUN) python -m rehearsal.local $(FUNCTION) $(EVENT)

setup: .venv/.synced ## the environment of development

.venv/.synced: pyproject.toml uv.lock $(if $(findstring .uv/,$(UV)),.uv/bin/uv)
	$(UV) sync --frozen --quiet --compile-bytecode
	@touch $@

sam/.venv/.synced: sam/pyproject.toml sam/uv.lock $(if $(findstring .uv/,$(UV)),.uv/bin/uv)
	$(UV) sync --project sam --frozen --quiet
	@touch $@

checkov/.venv/.synced: checkov/pyproject.toml checkov/uv.lock $(if $(findstring .uv/,$(UV)),.uv/bin/uv)
	$(UV) sync --project checkov --frozen --quiet
	@touch $@

.uv/bin/uv:
	$(PIP_PYTHON) -m pip install --quiet --quiet --target .uv uv

structure: setup ## figures of the source: files, imports, the files of one request
	@$(RUN) python -m benchmarks.structure

clean: ## remove what make has made
	rm -rf .venv .uv conformance/.venv conformance/node/node_modules .layers .aws-sam sam/.venv checkov/.venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage
