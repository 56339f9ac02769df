# Sourced, by scripts in this directory and by the Makefile: where the development parts are.
# `root` is the repository's directory; AIRUT_* already set are left alone.
root=${root:-$(pwd)}
if [ -e "$root/.airut-dev/containers.conf" ]; then
    export CONTAINERS_CONF="$root/.airut-dev/containers.conf"
fi
for found in "$root"/.airut-dev/claude/*/claude; do
    if [ -z "${AIRUT_CLAUDE_BIN:-}" ] && [ -x "$found" ]; then
        export AIRUT_CLAUDE_BIN="$found"
    fi
done
target=${CARGO_TARGET_DIR:-$root/target}
export AIRUT_PROXY_BIN="${AIRUT_PROXY_BIN:-$target/$(uname -m)-unknown-linux-gnu/proxy/airut-proxy}"
