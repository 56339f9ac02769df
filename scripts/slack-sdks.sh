#!/bin/sh
# Puts Slack's own clients into DIR/python and DIR/node, in the versions that tests/slack/sdks names:
#
#   slack-sdks.sh DIR
#
# Each half is left alone while what it was made from stays the same.
set -eu
dir=${1:?the directory is missing}
wanted=$(cd "$(dirname "$0")/../tests/slack/sdks" && pwd)
mkdir -p "$dir/node"

if ! cmp -s "$wanted/requirements.txt" "$dir/python/requirements.txt"; then
    echo "slack-sdks.sh: installing slack_sdk and slack_bolt into $dir/python"
    python3 -m venv --clear "$dir/python"
    "$dir/python/bin/pip" install --quiet --disable-pip-version-check -r "$wanted/requirements.txt"
    cp "$wanted/requirements.txt" "$dir/python/requirements.txt"
fi

if ! cmp -s "$wanted/package-lock.json" "$dir/node/installed.json"; then
    echo "slack-sdks.sh: installing @slack/web-api, socket-mode, bolt and typescript into $dir/node (about 100 packages)"
    cp "$wanted/package.json" "$wanted/package-lock.json" "$dir/node/"
    if ! (cd "$dir/node" && npm ci --no-audit --no-fund --ignore-scripts) >"$dir/npm.log" 2>&1; then
        tail -20 "$dir/npm.log" >&2
        echo "slack-sdks.sh: npm could not install Slack's clients" >&2
        exit 1
    fi
    cp "$wanted/package-lock.json" "$dir/node/installed.json"
fi
