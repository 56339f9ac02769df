#!/bin/sh
# Feeds the fuzz targets anything at all: fuzz.sh [--if-there] SECONDS [TARGET]. With --if-there, a
# machine without a nightly compiler or cargo-fuzz is no failure, but it is said aloud.
set -eu
cd "$(dirname "$0")/.."
optional=
if [ "${1:-}" = --if-there ]; then
    optional=yes
    shift
fi
seconds=$1
targets=${2:-$(cd fuzz/fuzz_targets && ls | sed 's/\.rs$//')}

if ! cargo +nightly --version >/dev/null 2>&1 || ! command -v cargo-fuzz >/dev/null; then
    echo "fuzz: NOT RUN: a nightly compiler and cargo-fuzz are needed" \
        "(rustup toolchain install nightly; scripts/setup.sh fuzz); tests/fuzz.rs runs without" >&2
    [ -z "$optional" ] || exit 0
    exit 1
fi
built=${CARGO_TARGET_DIR:-$PWD/target}/fuzz
for target in $targets; do
    # What the fuzzer finds on its way is not kept among the inputs of the repository.
    found=$built/corpus/$target
    mkdir -p "$found"
    more=
    case $target in
    codec) more=tests/golden/events ;;
    mail) more="tests/golden/eml/client tests/golden/eml/malformed tests/golden/eml/rfc" ;;
    esac
    echo "fuzz: $target for $seconds s"
    # The code has no unsafe of ours: a sanitizer would only make it slow.
    # shellcheck disable=SC2086 # the list is meant to be split
    cargo +nightly fuzz run --target-dir "$built" --sanitizer none "$target" \
        "$found" "fuzz/corpus/$target" $more -- \
        -max_total_time="$seconds" -timeout=5 -rss_limit_mb=1024 -print_final_stats=1 -verbosity=0
done
