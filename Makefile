# Airut's everyday commands; `make` lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help

TARGET_DIR := $(or $(CARGO_TARGET_DIR),$(CURDIR)/target)
HOST := $(shell uname -m)-unknown-linux-gnu
PROXY := $(TARGET_DIR)/$(HOST)/proxy/airut-proxy
# The parts that scripts/setup.sh provides, for a recipe's shell.
ENV := root=$(CURDIR); . scripts/env.sh;

.PHONY: help setup build proxy demo test sim crash soak bench attack fuzz lint docs bless install check

help: ## List these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Install what tests and demo need (Podman, mail servers, Claude Code, tools)
	scripts/setup.sh all

build: ## Build the gateway
	cargo build --bin airut

proxy: ## Build the small static binary that goes into each sandbox
	RUSTFLAGS='-C target-feature=+crt-static' cargo build --profile proxy --no-default-features \
		--bin airut-proxy --target $(HOST)

demo: ## Watch one mail go in, Claude work in a sandbox, and the answer come back
	scripts/setup.sh podman mail claude
	$(MAKE) --no-print-directory proxy
	$(ENV) scripts/demo.sh

test: ## Run every test against the real parts
	scripts/setup.sh all
	$(MAKE) --no-print-directory proxy
	cargo build --example test-hosts --example soak-daemon
	cargo test --doc
	$(ENV) AIRUT_REQUIRE_REAL=1 cargo nextest run --lib --bins --tests --examples \
		$(if $(CI),--profile ci)

sim: ## Simulate the core with faults, 10,000 seeds (SEED=n: one of them, step by step)
	AIRUT_SIM_SEED=$(SEED) AIRUT_SIM_SEEDS=$(SEEDS) cargo nextest run --test sim --no-capture

crash: ## Kill sixteen writers with kill -9, ROUNDS=200 times on one log (SEED=n: other moments)
	AIRUT_CRASH_ROUNDS=$(or $(ROUNDS),200) AIRUT_CRASH_SEED=$(or $(SEED),1) \
		cargo nextest run --test crash --no-capture

soak: ## Send MAILS=10000 while daemon, servers and connections die at random (SEED=n: the same moments, CHANNEL=slack: in Slack)
	$(if $(filter slack,$(CHANNEL)),,scripts/setup.sh mail)
	cargo build --bin airut --example soak-daemon
	AIRUT_REQUIRE_REAL=1 AIRUT_SOAK_MAILS=$(or $(MAILS),10000) AIRUT_SOAK_SEED=$(SEED) \
		cargo nextest run --test soak --no-capture -E '$(if $(filter slack,$(CHANNEL)),,not )test(slack)'

bench: ## Measure, beside raw sled and bare Podman in the same run (ONLY=proxy: one section)
	scripts/setup.sh podman mail claude bench
	$(MAKE) --no-print-directory proxy
	cargo build --release --example test-hosts
	$(ENV) cargo bench --bench bench -- $(ONLY)

attack: ## Run the attempts to escape from a sandbox
	scripts/setup.sh podman
	$(MAKE) --no-print-directory proxy
	cargo build --example test-hosts
	cargo build --bin airut
	$(ENV) AIRUT_REQUIRE_REAL=1 cargo nextest run --tests -E 'test(attack)'
	$(ENV) cd $$(mktemp -d) && $(TARGET_DIR)/debug/airut pentest --image localhost/airut-test-base:latest

fuzz: ## Feed the parsers anything at all, SECONDS=60 each (TARGET=codec: one of them)
	scripts/setup.sh fuzz
	scripts/fuzz.sh $(or $(SECONDS),60) $(TARGET)

lint: ## Check format, lints, dependencies and the compatibility list
	cargo fmt --check
	cargo clippy --all-targets -- -D warnings
	cargo clippy --no-default-features --bin airut-proxy -- -D warnings
	cargo clippy --no-default-features --features verify --bin airut-verify -- -D warnings
	scripts/check-dependencies.sh
	scripts/check-compatibility.sh

docs: ## Build the documentation of the code
	RUSTDOCFLAGS='-D warnings' cargo doc --no-deps --document-private-items

bless: ## Rewrite golden files, then show what changed
	AIRUT_BLESS=1 cargo test --test golden -- written_as documentation_is_fresh
	git diff --stat -- tests/golden doc

install: proxy ## Install airut, airut-sandbox, the proxy and airut-verify into ~/.cargo/bin
	cargo install --locked --path . --bin airut --bin airut-sandbox
	cargo install --locked --path . --bin airut-verify
	install -m 755 $(PROXY) $${CARGO_HOME:-$$HOME/.cargo}/bin/airut-proxy

check: lint docs test ## Everything that CI runs
