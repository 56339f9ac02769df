#!/bin/sh
# Installs what the tests and the demo need on a Debian machine, and says what and why:
#
#   setup.sh [podman|image|mail|claude|tools|all]...
#
# Each part is left alone when it is already there. Nothing of the user's own settings is
# changed: where a stock Podman cannot run, settings of our own go to .airut-dev/.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
dev=$root/.airut-dev
image=localhost/airut-test-base:latest
. "$root/scripts/env.sh"
PATH=$PATH:/usr/sbin:/sbin

say() {
    echo "setup: $*"
}

fail() {
    echo "setup: $*" >&2
    exit 1
}

# packages WHY NAME...: installs those of the Debian packages that are missing.
packages() {
    why=$1
    shift
    missing=
    for package in "$@"; do
        state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
        [ "$state" = installed ] || missing="$missing $package"
    done
    [ -n "$missing" ] || return 0
    say "installing$missing ($why)"
    [ "$(id -u)" = 0 ] || fail "as root, run: apt-get install --no-install-recommends$missing"
    export DEBIAN_FRONTEND=noninteractive
    # A test machine's own mail server must not start: the tests start theirs, on other ports.
    if [ ! -e /usr/sbin/policy-rc.d ]; then
        printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
        chmod 755 /usr/sbin/policy-rc.d
        policy_is_ours=yes
    fi
    log=$(mktemp)
    # shellcheck disable=SC2086 # the list is meant to be split
    if ! { apt-get update -qq && apt-get install -y -qq --no-install-recommends $missing; } \
        >"$log" 2>&1; then
        tail -20 "$log" >&2
        fail "apt-get could not install$missing"
    fi
    rm -f "$log"
    [ -z "${policy_is_ours:-}" ] || rm -f /usr/sbin/policy-rc.d
}

runs() {
    podman run --rm --pull=never --network none "$image" true >"$dev/podman.log" 2>&1
}

set_up_podman() {
    mkdir -p "$dev"
    packages "sandboxes are containers" podman conmon runc netavark iptables nftables catatonit \
        slirp4netns uidmap
    set_up_image
    runs && return 0
    say "a stock Podman does not run here; settings of our own go to $dev/containers.conf"
    # More open files and processes than the machine allows make every start fail, and crun
    # refuses machines that mix both generations of control groups.
    processes=$(awk '/^Max processes/ { print $4 }' /proc/self/limits)
    most=$(cat /proc/sys/kernel/pid_max)
    { [ "$processes" != unlimited ] && [ "$processes" -lt "$most" ]; } || processes=$most
    files=$(awk '/^Max open files/ { print $5 }' /proc/self/limits)
    [ "$files" != unlimited ] || files=1048576
    cat >"$dev/containers.conf" <<END
[containers]
default_ulimits = ["nofile=$files:$files", "nproc=$processes:$processes"]
log_driver = "k8s-file"
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
END
    . "$root/scripts/env.sh"
    runs || {
        cat "$dev/podman.log" >&2
        fail "Podman cannot start a container on this machine"
    }
}

# The base image of test sandboxes: a small Debian from the package archive, no registry needed.
set_up_image() {
    podman image exists "$image" && return 0
    packages "the base image is made of Debian packages" mmdebstrap ca-certificates
    say "making the base image $image (about 20 s)"
    . /etc/os-release
    inside=git,ca-certificates,curl,python3-minimal,openssl,procps,iproute2
    tar=$(mktemp -d)/base.tar
    mmdebstrap --quiet --variant=minbase --include="$inside" "$VERSION_CODENAME" "$tar" ||
        fail "the base image could not be made"
    podman import --quiet "$tar" "$image" >/dev/null
    rm -rf "$(dirname "$tar")"
}

set_up_mail() {
    packages "the tests send and read real mail" postfix dovecot-imapd dovecot-lmtpd openssl
}

set_up_claude() {
    command -v npm >/dev/null || packages "Claude Code comes as an npm package" nodejs npm
    "$root/scripts/claude-binary.sh" "$dev/claude"
}

set_up_tools() {
    for tool in cargo-nextest cargo-deny; do
        command -v "$tool" >/dev/null && continue
        say "installing $tool (the checks use it)"
        cargo install --quiet --locked "$tool"
    done
}

[ $# -gt 0 ] || set -- all
for part in "$@"; do
    case $part in
    podman) set_up_podman ;;
    image) set_up_image ;;
    mail) set_up_mail ;;
    claude) set_up_claude ;;
    tools) set_up_tools ;;
    all)
        set_up_podman
        set_up_mail
        set_up_claude
        set_up_tools
        ;;
    *) fail "unknown part $part; there are podman, image, mail, claude, tools and all" ;;
    esac
done
say "ready: $*"
