# Every target is explained by `make help`.

SHELL := /bin/bash -o pipefail
.DEFAULT_GOAL := help
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules --no-print-directory

# Tools are pinned in go.mod files: the generator in our own; Helm, the linter and promtool (which tests the alerts) below
# test/lab/tools in modules of their own, so that their dependencies do not meet ours. Those are built once and kept in the
# user's cache directory.
CONTROLLER_GEN := go tool controller-gen
LAB            := go run ./test/lab/cmd/lab
HELM           = "$$($(LAB) build helm)"
GOLANGCI_LINT  = "$$($(LAB) build golangci-lint)"

GO_SOURCES := $(shell find . -name '*.go' -not -path './test/*' -not -name '*_test.go') go.mod go.sum

# The end-to-end tests need the lab, one package at a time; everything else is unit tests.
UNIT_PACKAGES = $(shell go list ./... | grep -v /test/e2e)

# How much each fuzz target tries in `make test`, and flags for `go test`, such as TESTFLAGS=-v. A number of inputs, because with
# a time go test may report its own deadline as a failure of the target.
FUZZTIME  ?= 50000x
TESTFLAGS ?=

##@ Everyday

.PHONY: help
help: ## Print this text
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z0-9-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: bin/steelyard-controller bin/steelyard-speaker bin/kubectl-steelyard ## Build the controller, the speaker and the kubectl plugin into bin/ (static; the version comes from git)

# Without git, or in a clone that git does not trust because it is somebody else's, the version is left out.
bin/%: $(GO_SOURCES)
	CGO_ENABLED=0 go build -trimpath -buildvcs=$$(git rev-parse --quiet --verify HEAD >/dev/null 2>&1 && echo true || echo false) -ldflags '-s -w' -o $@ ./cmd/$*

.PHONY: demo
demo: deps build ## Bring up a cluster on this machine, apply the YAML of the README, cut the owner's power (KEEP=1 leaves the cluster)
	go run ./test/demo $(if $(KEEP),--keep)

.PHONY: test
test: unit fuzz e2e ## Run every test: unit, a short run of every fuzz target, end to end in the lab

.PHONY: bench
bench: deps build ## Measure failover, allocation and footprint in the lab (PEER=FILE measures another implementation beside, ONLY=PARTS some parts, such as answer or plan,leader)
	go run ./test/bench $(if $(PEER),--peer $(PEER)) $(if $(ONLY),--only $(ONLY))

##@ Parts of it

.PHONY: unit
unit: deps ## Run the unit tests
	go test $(TESTFLAGS) $(UNIT_PACKAGES)

.PHONY: fuzz
fuzz: ## Run every fuzz target for FUZZTIME (default 50000x inputs; 5m for five minutes)
	.ci/fuzz.sh $(FUZZTIME)

.PHONY: e2e
e2e: deps build ## Run the end-to-end scenarios in the lab
	go test $(TESTFLAGS) -count=1 -p=1 -timeout=40m ./test/e2e/...

.PHONY: nemesis
nemesis: export NEMESIS := $(or $(ONLY),.)
nemesis: export PCAP := $(and $(PCAP),$(abspath $(PCAP)))
nemesis: deps build ## Break the cluster in every way we know and judge the promises from the client (ONLY=REGEXP: scenarios whose names match, such as 'cable|deaf'; PCAP=DIR keeps a capture of each)
	go test -v -count=1 -timeout=90m ./test/e2e/nemesis

.PHONY: soak
soak: deps build ## Kill controllers under random changes for DURATION (default 5m); SEED=N repeats the changes of a run
	DURATION=$(or $(DURATION),5m) SEED=$(SEED) go test -v -count=1 -timeout=0 -run='^TestRandomChangesWhileControllersDie$$' ./test/e2e/controller

.PHONY: sim
sim: ## Check the promises in SEEDS (default 1000) simulated clusters with random faults; SEED=N repeats one and prints its events
	SEEDS=$(if $(SEED),,$(or $(SEEDS),1000)) SEED=$(SEED) go test -count=1 -timeout=0 $(if $(SEED),-v) $(TESTFLAGS) -run='Random|PowerCuts|PassNothing' ./test/sim

# The linter's cache belongs to one checkout: a shared one reports files by the path of the clone that filled it.
.PHONY: lint
lint: export GOLANGCI_LINT_CACHE := $(CURDIR)/bin/golangci-lint-cache
lint: ## Run the linter, go vet among its checks, and helm lint
	$(GOLANGCI_LINT) run
	$(HELM) lint --quiet charts/steelyard

.PHONY: vulncheck
vulncheck: ## Look for known vulnerabilities in what the code calls (status 75: their database cannot be reached, nothing is known)
	.ci/vulncheck.sh

.PHONY: fmt
fmt: ## Format the Go files as the linter wants them
	$(GOLANGCI_LINT) fmt

##@ Generated files

.PHONY: generate
generate: ## Write deepcopy code, CRDs, RBAC, the chart's copies of them, its schema and table of values, docs/reference.md and config/manifests/steelyard.yaml
	$(CONTROLLER_GEN) object paths=./api/...
	$(CONTROLLER_GEN) crd paths=./api/... output:crd:dir=config/crd/bases
	$(CONTROLLER_GEN) rbac:roleName=steelyard-controller,fileName=controller.yaml paths=./controllers/... output:rbac:dir=config/rbac
	$(CONTROLLER_GEN) rbac:roleName=steelyard-speaker,fileName=speaker.yaml paths=./speaker/... output:rbac:dir=config/rbac
	cp config/crd/bases/*.yaml charts/steelyard/files/crds/
	go run ./test/docs/reference config/crd/bases > docs/reference.md.tmp && mv docs/reference.md.tmp docs/reference.md
	cp config/rbac/*.yaml charts/steelyard/files/rbac/
	go run ./test/chart/cmd/values
	{ cat config/manifests/namespace.yaml; $(HELM) template steelyard charts/steelyard --namespace metallb-system --set gossip.encryption=false; } > config/manifests/steelyard.yaml.tmp
	mv config/manifests/steelyard.yaml.tmp config/manifests/steelyard.yaml

.PHONY: verify
verify: ## Fail when a generated file or go.mod is not what the sources say
	.ci/verify.sh

##@ The lab

.PHONY: lab-build
lab-build: ## Build what the lab runs (about 10 minutes on two cores the first time, then cached)
	$(LAB) build

.PHONY: lab-up
lab-up: deps build ## Bring up a cluster with Steelyard in it and leave it
	$(LAB) up

.PHONY: lab-down
lab-down: ## Take it down
	$(LAB) down

.PHONY: images
images: build ## Write OCI archives of both images to dist/ (no container engine needed)
	@mkdir -p dist
	go run ./test/lab/cmd/image -user 65534:65534 steelyard-lb/steelyard-controller:$(VERSION) bin/steelyard-controller dist/steelyard-controller.tar
	go run ./test/lab/cmd/image steelyard-lb/steelyard-speaker:$(VERSION) bin/steelyard-speaker dist/steelyard-speaker.tar

.PHONY: release
release: ## Build a release of the last commit into dist/, twice, and compare: binaries, images, chart, bills of materials, checksums (ONLY=linux/amd64,... for a try)
	go run ./release -out dist $(if $(ONLY),-only $(ONLY))

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)

.PHONY: deps
deps: ## Install the Debian packages that the lab needs and that are missing (asks for root only then)
	.ci/deps.sh

.PHONY: clean
clean: ## Remove what was built in this clone; the caches outside it stay
	rm -rf bin dist
