#!/usr/bin/env bash
# cargo-deny at a fixed version, installed on first use (a few minutes) below $SEGMENTD_TOOLS.
#
#     scripts/deny.sh check bans licenses sources
set -euo pipefail

version=0.20.2
tools=${SEGMENTD_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/segmentd/tools}

if [ "$("$tools/bin/cargo-deny" --version 2>/dev/null)" != "cargo-deny $version" ]; then
  echo "Installing cargo-deny $version (a few minutes, once)" >&2
  CARGO_TARGET_DIR=$tools/target cargo install --quiet --locked --root "$tools" --version "$version" cargo-deny
  rm -rf "$tools/target"
fi
exec "$tools/bin/cargo-deny" --locked "$@"
