#!/bin/sh
# Puts a Claude Code binary into DIR/<version>/claude, the layout of Airut's own cache:
#
#   claude-binary.sh DIR [VERSION]
#
# The native binary is an optional package of the npm package, one per platform.
set -eu
dir=${1:?the directory is missing}
version=${2:-2.1.330}
binary=$dir/$version/claude
[ ! -x "$binary" ] || exit 0

case $(uname -m) in
x86_64) platform=linux-x64 ;;
aarch64) platform=linux-arm64 ;;
*)
    echo "claude-binary.sh: there is no Claude Code for $(uname -m)" >&2
    exit 1
    ;;
esac
package=@anthropic-ai/claude-code-$platform
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
echo "claude-binary.sh: fetching Claude Code $version (about 100 MB)"
if ! npm install --no-audit --no-fund --ignore-scripts --force --prefix "$scratch" \
    "$package@$version" >"$scratch/log" 2>&1; then
    tail -20 "$scratch/log" >&2
    echo "claude-binary.sh: npm could not fetch $package@$version" >&2
    exit 1
fi
mkdir -p "$dir/$version"
cp "$scratch/node_modules/$package/claude" "$binary.new"
chmod 755 "$binary.new"
mv "$binary.new" "$binary"
echo "claude-binary.sh: $("$binary" --version) is in $binary"
