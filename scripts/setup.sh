#!/usr/bin/env bash
# What building and testing need beyond Rust: looks for each thing and installs, with apt-get, only what is missing.
#
#     scripts/setup.sh                    what the build needs
#     scripts/setup.sh kafka              also what the tests' Apache Kafka needs
#     scripts/setup.sh kafka browser      and what the tests of the console need
#
# As root it installs; otherwise it prints one line to paste and exits 1. When all is there it takes milliseconds.
set -euo pipefail

missing=()

# need PACKAGE COMMAND…: PACKAGE is missing unless COMMAND succeeds.
need() {
  local package=$1
  shift
  "$@" >/dev/null 2>&1 || missing+=("$package")
}

# bindgen loads libclang while it compiles RocksDB's bindings; this is where clang-sys looks for it. libclang-cpp.so, which graphics
# drivers bring along, is another library.
has_libclang() {
  [ -n "${LIBCLANG_PATH:-}" ] || compgen -G '/usr/lib/llvm-*/lib/libclang[.-][s0-9]*' || compgen -G '/usr/lib/*-linux-gnu/libclang[.-][s0-9]*'
}

# Debian has no other; elsewhere a Chrome does as well (tests/console/playwright.config.mjs).
has_chromium() {
  [ -n "${SEGMENTD_TEST_CHROMIUM:-}" ] || command -v /usr/bin/chromium || command -v /usr/bin/google-chrome
}

# wants THING: was it asked for? The arguments of the script stand in $wanted.
wanted=" $* "
wants() {
  [[ $wanted == *" $1 "* ]]
}

if ! command -v cargo >/dev/null; then
  echo "Rust is missing: install it from https://rustup.rs, then try again." >&2
  exit 1
fi

need g++ command -v c++
need make command -v make
need pkg-config command -v pkg-config
need libssl-dev test -e /usr/include/openssl/ssl.h
need libclang-dev has_libclang
if wants kafka; then
  need default-jre-headless command -v java
  need maven command -v mvn
fi
if wants browser; then
  need nodejs command -v node
  need npm command -v npm
  need chromium has_chromium
fi

if [ ${#missing[@]} -gt 0 ]; then
  if ! command -v apt-get >/dev/null; then
    echo "Missing, by their Debian names: ${missing[*]}. Install them the way this system does, then try again." >&2
    exit 1
  elif [ "$(id -u)" -ne 0 ]; then
    echo "Some packages are missing. Paste this line, then try again:" >&2
    echo "  sudo apt-get update && sudo apt-get install --yes --no-install-recommends ${missing[*]}" >&2
    exit 1
  fi
  echo "Installing ${missing[*]}" >&2
  export DEBIAN_FRONTEND=noninteractive
  apt-get update --quiet=2
  apt-get install --yes --quiet=2 --no-install-recommends "${missing[@]}" >/dev/null
fi

built=${CARGO_TARGET_DIR:-target}/release/build
if ! compgen -G "$built/librocksdb-sys-*/out/librocksdb.a" >/dev/null; then
  cat >&2 <<'NOTE'
The first build compiles RocksDB and librdkafka from source: 15 to 25 minutes on two cores, less on more.
Later builds take seconds to a minute; tests, demo, lints and benches all share this one build.
NOTE
fi
