# What each target needs and does is in README.md.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := build

TARGET := $(shell scripts/target-dir)
RELEASE := $(TARGET)/release
CARGO := cargo --locked

# Only an old dependency links with OpenSSL: the system's where its headers are, one built from source elsewhere.
ifeq ($(shell pkg-config --exists openssl 2>/dev/null && echo yes),yes)
export OPENSSL_NO_VENDOR := 1
endif

.PHONY: quickstart test test-long simulate chaos build local bench check image-check image-test needs engines bins spark compiled rig clean

needs:
	@scripts/needs

build: needs
	$(CARGO) build --release -p mayfly-coordinator -p mayfly-agent

# The same without fleets on AWS, whose crates take minutes to compile.
local: needs
	$(CARGO) build --release -p mayfly-coordinator -p mayfly-agent --no-default-features

quickstart: local
	scripts/quickstart $(RELEASE)

# The network brings these while the processor is busy with those.
engines:
	scripts/needs-engines

bins:
	$(CARGO) build --workspace --bins

# Spark, what it needs, and its archive of classes: minutes of one core on a new machine.
spark:
	$(TARGET)/debug/agent toolchain >/dev/null

compiled:
	$(CARGO) test --workspace --no-run

# The rig's own tests.
rig:
	cd tests/rig && $$(python3 ../../bench/tools.py rig) -m pytest

# Tests of whole runs wait more than they compute: four of them for a core (tests/src/slots.rs bounds their clusters).
test: export RUST_TEST_THREADS ?= $(shell echo $$((4 * $$(nproc))))
test: needs
	$(MAKE) --jobs=2 engines bins
	$(MAKE) --jobs=4 spark image-check rig compiled
	$(CARGO) test --workspace

# What takes minutes each: every way to fail, advice against measured runs, engines whose master dies, 10,000 machines, a
# flood of output.
test-long: needs bins
	$(CARGO) test -p mayfly-tests --test it -- --ignored --test-threads 1

# Worlds of the simulation: docs/reliability.md.
SEEDS := 10000

simulate: needs
	$(CARGO) run -p mayfly-sim -- --seeds $(SEEDS)

# Real programs, each run with one thing that goes wrong: docs/reliability.md. CASES=server/record.save for some of them.
CASES :=

chaos: needs bins
	$(TARGET)/debug/chaos $(CASES)

bench: local
	scripts/bench $(RELEASE)

check: needs
	cargo fmt --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	scripts/deny

image-check:
	packer/check

# PROGRAMS=target/debug saves a release build.
image-test: $(if $(PROGRAMS),,build)
	packer/test $(or $(PROGRAMS),$(RELEASE))

clean:
	cargo clean
