# What people do here. Each target does its own set-up: a Debian machine that has only Rust is enough.
# One profile everywhere (--release): RocksDB and librdkafka are compiled once.

CARGO ?= cargo
# What `segmentd --version` shows.
export SEGMENTD_REVISION ?= $(shell git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)

.PHONY: help demo kafka test lint fmt bench fuzz chaos

help: ## these lines
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

demo: ## see customers enter and leave segments, in under 90 seconds after the build
	@scripts/setup.sh
	@$(CARGO) run --release --locked --quiet -- demo

kafka: ## an Apache Kafka on localhost:9092, to try the service with
	@scripts/setup.sh kafka
	@scripts/kafka.sh

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

# That a valid request is accepted is left out: `from` before `to`, an instant that has not passed, are in no schema.
fuzz: ## schemathesis against a service that runs with tokens: make fuzz URL=http://127.0.0.1:8080 TOKEN=…
	@python3 -m venv target/schemathesis && target/schemathesis/bin/pip install --quiet schemathesis==4.32.5
	@target/schemathesis/bin/schemathesis run $(URL)/openapi.json -H "Authorization: Bearer $(TOKEN)" --max-examples 25 \
	  --exclude-path /api/v1/transitions --exclude-checks positive_data_acceptance

chaos: ## 20 kills, a broker restart and a rebalance; counts what is lost or doubled
	@scripts/setup.sh kafka
	$(CARGO) test --release --locked --test chaos -- chaos --exact --ignored --nocapture
