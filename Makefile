# What people do here. Each target does its own set-up: a Debian machine that has only Rust is enough.
# One profile everywhere (--release): RocksDB and librdkafka are compiled once.

CARGO ?= cargo
# What `segmentd --version` shows.
export SEGMENTD_REVISION ?= $(shell git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)

.PHONY: help demo test lint fmt bench chaos

help: ## these lines
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

demo: ## see customers enter and leave segments, in under 90 seconds after the build
	@scripts/setup.sh
	@$(CARGO) run --release --locked --quiet -- demo

test: ## every test, with a real Apache Kafka and a real browser
	@scripts/setup.sh kafka browser
	$(CARGO) test --release --locked

lint: ## format, clippy, layers, licences and bans, as CI does
	@scripts/setup.sh
	$(CARGO) fmt --check
	$(CARGO) clippy --release --locked --all-targets -- -D warnings
	$(CARGO) test --release --locked --quiet --test layers
	@scripts/deny.sh check bans licenses sources

fmt: ## format the code
	$(CARGO) fmt

bench: ## the figures of the README
	@scripts/setup.sh kafka
	$(CARGO) test --release --locked --test figures -- --ignored --nocapture --test-threads 1

chaos: ## 20 kills, a broker restart and a rebalance; counts what is lost or doubled
	@scripts/setup.sh kafka
	$(CARGO) test --release --locked --test chaos -- chaos --exact --ignored --nocapture
