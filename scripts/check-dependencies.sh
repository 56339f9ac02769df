#!/bin/sh
# Checks licences, bans and sources of the dependencies, and known faults when their list can be had.
set -eu
cd "$(dirname "$0")/.."
cargo deny --log-level error check licenses bans sources
if [ -n "${AIRUT_OFFLINE:-}" ] || ! timeout 60 cargo deny --log-level error fetch db >/dev/null 2>&1; then
    echo "check-dependencies: the advisory database cannot be fetched here; advisories are NOT checked"
    exit 0
fi
cargo deny --log-level error check advisories
