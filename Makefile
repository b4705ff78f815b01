# make demo    a whole service on this machine, without any configuration; ARGS=--once ends after its calls
# make test    everything that must hold: what CI runs
# make build   bin/telecommune
#
# `demo` and `test` install what is missing on Debian; see deploy/install-deps.sh.

GO      ?= go
ARGS    ?=
PROGRAM := bin/telecommune
PROMPTS := build/prompts

# The binary names its commit where git can tell it. Nothing else of the machine gets into it: the same commit and the
# same Go give the same bytes.
VCS   := $(shell git rev-parse HEAD >/dev/null 2>&1 && echo true || echo false)
BUILD := CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=$(VCS)

.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help build demo test test-long check lint prompts deps deps-test go clean

help:
	@sed -n 's/^# make/make/p' Makefile

build: go
	$(BUILD) -o $(PROGRAM) ./cmd/telecommune

demo: deps build prompts
	TELECOMMUNE_PROMPTS=$(PROMPTS) $(PROGRAM) demo $(ARGS)

test: deps-test build prompts check
	TELECOMMUNE_PROMPTS=$(PROMPTS) $(PROGRAM) demo --once

# The same tests with larger counts. Load figures are taken without the race detector and one package at a time.
test-long: deps-test build prompts
	TELECOMMUNE_LONG=1 $(GO) test -count=1 -p 1 -timeout 2h ./...

check: lint
	$(GO) test -race ./...

lint: go
	@unformatted=$$($(GO) tool gofumpt -l .); \
	if [ -n "$$unformatted" ]; then echo "run \`go tool gofumpt -w .\` for:" $$unformatted >&2; exit 1; fi
	$(GO) vet ./...
	$(GO) tool staticcheck ./...

prompts:
	deploy/prompts.sh $(PROMPTS)

deps:
	deploy/install-deps.sh

deps-test:
	deploy/install-deps.sh --test
	deploy/asterisk/get.sh

# Inside the module an older Go either fetches the version that go.mod names, or says why it can't.
go:
	@version=$$($(GO) env GOVERSION) || version=none; \
	case $$version in \
	go1.2[6-9]* | go1.[3-9][0-9]* | devel*) ;; \
	*) echo "Go 1.26 or newer is needed to build this (found: $$version). Get it from https://go.dev/dl/" >&2; exit 1 ;; \
	esac

clean:
	rm -rf bin build
