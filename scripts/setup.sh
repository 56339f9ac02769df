#!/bin/sh
# Installs what the tests and the demo need on a Debian machine, and says what and why:
#
#   setup.sh [podman|clients|mail|corpora|claude|slack|tools|bench|fuzz|all]...
#
# `all` is all but bench and fuzz. Each part is left alone when it is already there. Nothing of the user's own settings is
# changed: where a stock Podman cannot run, settings of our own go to .airut-dev/.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
dev=$root/.airut-dev
image=localhost/airut-test-base:latest
clients=localhost/airut-test-clients:latest
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

# A sandbox needs a container that starts, and its proxy one with a bridge to the world.
runs() {
    podman run --rm --pull=never --network podman "$image" true >"$dev/podman.log" 2>&1
}

# The image holds what the sandboxes and servers of the tests call.
image_is_whole() {
    podman run --rm --pull=never --network none "$image" sh -c '
        for tool in git curl python3 openssl ip ps; do
            command -v "$tool" || exit 1
        done
        test -x "$(git --exec-path)/git-http-backend" &&
            test -s /etc/ssl/certs/ca-certificates.crt' >"$dev/image.log" 2>&1
}

set_up_podman() {
    mkdir -p "$dev"
    packages "sandboxes are containers" podman conmon runc netavark aardvark-dns iptables \
        nftables iproute2 catatonit slirp4netns uidmap
    podman image exists "$image" || make_image
    if ! runs; then
        say "a stock Podman does not run here; settings of our own go to $dev/containers.conf"
        write_podman_settings
        . "$root/scripts/env.sh"
        runs || {
            cat "$dev/podman.log" >&2
            fail "Podman cannot start a container on this machine"
        }
    fi
    image_is_whole || make_image
    image_is_whole || fail "the base image lacks something: see $dev/image.log"
}

# More open files and processes than the machine allows make every start fail, and crun refuses
# machines that mix both generations of control groups.
write_podman_settings() {
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
[network]
network_backend = "netavark"
END
}

# The base image of test sandboxes: a small Debian from the package archive, no registry needed.
make_image() {
    packages "the base image is made of Debian packages" mmdebstrap ca-certificates
    say "making the base image $image (about 20 s)"
    . /etc/os-release
    inside=git,ca-certificates,curl,python3,openssl,procps,iproute2
    scratch=$(mktemp -d)
    if ! mmdebstrap --quiet --variant=minbase --include="$inside" \
        --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
        --dpkgopt='path-exclude=/usr/share/doc/*' \
        "$VERSION_CODENAME" "$scratch/base.tar" >"$scratch/log" 2>&1; then
        tail -20 "$scratch/log" >&2
        fail "the base image could not be made"
    fi
    podman import --quiet --change 'ENV LANG=C.UTF-8' --change 'CMD ["/bin/bash"]' \
        "$scratch/base.tar" "$image" >/dev/null
    rm -rf "$scratch"
}

# The same image with the clients that agents use, for the test that each of them works (2 min, 2.4 GB).
set_up_clients() {
    # An image of before, which lacks some of them, is made again.
    podman run --rm --pull=never --network none "$clients" \
        python3 -c 'import grpc, websockets' >"$dev/clients.log" 2>&1 && return
    say "making the image $clients: wget, npm, pip, uv, gRPC, cargo, Go and Java (about 2 min)"
    scratch=$(mktemp -d)
    cat >"$scratch/Dockerfile" <<END
FROM $image
RUN mkdir -p /usr/share/man/man1 && apt-get update -qq && \\
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \\
        wget python3-pip nodejs npm cargo golang-go default-jdk-headless && \\
    rm -rf /var/lib/apt/lists/*
RUN PIP_CERT=/host-ca.crt pip3 install --break-system-packages --no-cache-dir uv
RUN PIP_CERT=/host-ca.crt pip3 install --break-system-packages --no-cache-dir grpcio websockets
END
    podman build --quiet --network host \
        --volume /etc/ssl/certs/ca-certificates.crt:/host-ca.crt:ro \
        --tag "$clients" "$scratch" >"$dev/clients.log" 2>&1 ||
        fail "the image of clients could not be made: see $dev/clients.log"
    rm -rf "$scratch"
}

set_up_mail() {
    # A machine without mail servers gets ones that do not start by themselves, not even later.
    if [ "$(id -u)" = 0 ] && [ ! -e /etc/postfix/main.cf ]; then
        echo "postfix postfix/main_mailer_type select No configuration" | debconf-set-selections
    fi
    packages "the tests send, read and compare real mail" postfix dovecot-imapd dovecot-lmtpd openssl \
        rspamd python3
    case $missing in
    *dovecot-imapd*) ! command -v systemctl >/dev/null || systemctl --quiet disable dovecot ;;
    esac
}

# Mails that CPython and SpamAssassin bring along; their packages are unpacked, not installed.
set_up_corpora() {
    packages "what a mail's HTML says is compared with what a text browser shows" w3m
    [ ! -e "$dev/corpora/whole" ] || return 0
    say "fetching the test mails of CPython and SpamAssassin into $dev/corpora (5 MB)"
    scratch=$(mktemp -d)
    chmod 755 "$scratch"
    (
        cd "$scratch"
        set -- libpython3.11-testsuite spamassassin
        apt-get download -qq "$@" || { apt-get update -qq && apt-get download -qq "$@"; }
        for package in "$@"; do
            dpkg-deb --fsys-tarfile "$package"_*.deb | tar -x
        done
    ) >"$dev/corpora.log" 2>&1 || fail "the test mails could not be fetched: see $dev/corpora.log"
    mkdir -p "$dev/corpora/cpython" "$dev/corpora/spamassassin"
    cp "$scratch"/usr/lib/python3.11/test/test_email/data/msg_*.txt "$dev/corpora/cpython"
    cp "$scratch"/usr/share/doc/spamassassin/examples/sample-*.txt "$dev/corpora/spamassassin"
    rm -rf "$scratch"
    touch "$dev/corpora/whole"
}

set_up_claude() {
    command -v npm >/dev/null || packages "Claude Code comes as an npm package" nodejs npm
    "$root/scripts/claude-binary.sh" "$dev/claude"
}

set_up_slack() {
    command -v npm >/dev/null || packages "Slack's own clients come as npm packages" nodejs npm
    python3 -c 'import ensurepip, venv' 2>/dev/null ||
        packages "Slack's own clients come as Python packages" python3 python3-venv
    "$root/scripts/slack-sdks.sh" "$dev/slack-sdks"
}

set_up_bench() {
    [ ! -x "$dev/mitmproxy/bin/mitmdump" ] || return 0
    python3 -c 'import ensurepip, venv' 2>/dev/null || packages "mitmdump is a Python program" \
        python3 python3-venv
    say "installing mitmproxy into $dev/mitmproxy (the proxy is measured beside it)"
    python3 -m venv "$dev/mitmproxy"
    "$dev/mitmproxy/bin/pip" install --quiet --disable-pip-version-check mitmproxy
}

set_up_tools() {
    for tool in cargo-nextest cargo-deny; do
        command -v "$tool" >/dev/null && continue
        say "installing $tool (the checks use it)"
        cargo install --quiet --locked "$tool"
    done
}

# Only `make fuzz` needs it; the compiler beside it is the user's to choose.
set_up_fuzz() {
    cargo +nightly --version >/dev/null 2>&1 ||
        fail "fuzzing needs a nightly compiler: rustup toolchain install nightly"
    command -v cargo-fuzz >/dev/null && return 0
    say "installing cargo-fuzz (make fuzz uses it)"
    cargo install --quiet --locked cargo-fuzz
}

[ $# -gt 0 ] || set -- all
for part in "$@"; do
    case $part in
    podman) set_up_podman ;;
    clients) set_up_clients ;;
    mail) set_up_mail ;;
    corpora) set_up_corpora ;;
    claude) set_up_claude ;;
    slack) set_up_slack ;;
    tools) set_up_tools ;;
    bench) set_up_bench ;;
    fuzz) set_up_fuzz ;;
    all)
        set_up_podman
        set_up_clients
        set_up_mail
        set_up_corpora
        set_up_claude
        set_up_slack
        set_up_tools
        ;;
    *) fail "unknown part $part; there are podman, clients, mail, corpora, claude, slack, tools, bench, fuzz and all" ;;
    esac
done
say "ready: $*"
