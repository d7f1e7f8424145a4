# What each target needs and does is in README.md.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := build

RELEASE := $(shell scripts/target-dir)/release
CARGO := cargo --locked

# Only an old dependency links with OpenSSL: the system's where its headers are, one built from source elsewhere.
ifeq ($(shell pkg-config --exists openssl 2>/dev/null && echo yes),yes)
export OPENSSL_NO_VENDOR := 1
endif

.PHONY: quickstart test build local bench check image-check image-test needs clean

needs:
	@scripts/needs

build: needs
	$(CARGO) build --release -p mayfly-coordinator -p mayfly-agent

# The same without fleets on AWS, whose crates take minutes to compile.
local: needs
	$(CARGO) build --release -p mayfly-coordinator -p mayfly-agent --no-default-features

quickstart: local
	scripts/quickstart $(RELEASE)

test: needs
	$(CARGO) build --workspace --bins
	$(CARGO) test --workspace
	cd tests/rig && $$(python3 ../../bench/tools.py rig) -m pytest

bench: local
	scripts/bench $(RELEASE)

check: needs
	cargo fmt --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	scripts/deny

image-check:
	packer/check

image-test: build
	packer/test $(RELEASE)

clean:
	cargo clean
