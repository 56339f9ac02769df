#!/bin/bash
# Builds what the demo runs and runs it; `make demo` installs the real parts first.
set -euo pipefail
cd "$(dirname "$0")/.."
started=$SECONDS
echo "demo: building airut, the test hosts and the demo itself (the first time takes minutes)"
cargo build --bin airut --example test-hosts --example demo
export AIRUT_BIN="${CARGO_TARGET_DIR:-target}/debug/airut" AIRUT_REQUIRE_REAL=1
AIRUT_BIN=$(realpath "$AIRUT_BIN")
"${CARGO_TARGET_DIR:-target}/debug/examples/demo"
echo
echo "demo: done in $((SECONDS - started)) s"
