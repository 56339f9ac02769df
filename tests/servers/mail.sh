#!/bin/sh
# Private mail servers on loopback, for tests: Postfix takes mail in and out, Dovecot keeps it.
#
#   mail.sh start DIR BASEPORT    configures and starts them; all their files are in DIR
#   mail.sh stop DIR              stops them and waits until they are gone
#
# DIR/env then names the ports (BASEPORT+…), the authority's certificate and the accounts. Several
# may run at once. When WATCH_PID is set, they stop by themselves once that process is gone.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
PATH=$PATH:/usr/sbin:/sbin

fail() {
    echo "mail.sh: $*" >&2
    exit 1
}

make_certificates() {
    cd "$dir/tls"
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 \
        -keyout ca.key -out ca.pem -subj "/CN=Airut test mail authority" \
        -addext basicConstraints=critical,CA:TRUE \
        -addext keyUsage=critical,keyCertSign,cRLSign
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
        -keyout server.key -out server.csr -subj "/CN=localhost"
    {
        echo "subjectAltName=DNS:localhost,DNS:mail.example.test,IP:127.0.0.1"
        echo "basicConstraints=critical,CA:FALSE"
        echo "extendedKeyUsage=serverAuth"
    } >extensions
    openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 3650 \
        -extfile extensions -out server.pem
    chmod 600 ca.key server.key
    cd - >/dev/null
}

# Fills the templates: @DIR@ and the ports by name.
fill() {
    sed -e "s|@DIR@|$dir|g" -e "s|@LMTP@|$((base + 24))|g" -e "s|@MX@|$((base + 25))|g" \
        -e "s|@MX_PASS@|$((base + 26))|g" -e "s|@MX_FAIL@|$((base + 27))|g" \
        -e "s|@MX_FILTERED@|$((base + 28))|g" -e "s|@FILTER@|$((base + 32))|g" \
        -e "s|@DNS@|$((base + 53))|g" -e "s|@INTROSPECTION@|$((base + 80))|g" \
        -e "s|@IMAP@|$((base + 143))|g" -e "s|@IMAPS@|$((base + 993))|g" \
        -e "s|@SMTPS@|$((base + 465))|g" -e "s|@SUBMISSION@|$((base + 587))|g" \
        "$here/$1" >"$dir/$2"
}

# The filters of the two public ports: a sender's own verdict is removed, ours is put on.
make_filter() {
    {
        echo '/^Authentication-Results:/ IGNORE'
        printf '/^From:.*@([A-Za-z0-9.-]+)/ PREPEND Authentication-Results: mail.example.test; '
        printf 'dmarc=%s header.from=$1\n' "$1"
    } >"$dir/postfix/verdict_$1"
}

make_accounts() {
    : >"$dir/dovecot/users"
    : >"$dir/postfix/mailboxes"
    for user in bot@example.test alice@example.test bob@partner.test; do
        echo "$user:{PLAIN}secret:5000:5000::$dir/mail/$user::" >>"$dir/dovecot/users"
        echo "$user ok" >>"$dir/postfix/mailboxes"
    done
}

listens() {
    hex=$(printf '%04X' "$1")
    grep -q "^ *[0-9]*: 0100007F:$hex 00000000:0000 0A" /proc/net/tcp
}

start() {
    [ "$(id -u)" = 0 ] || fail "Postfix and Dovecot start as root only"
    for program in postfix dovecot openssl; do
        command -v "$program" >/dev/null || fail "$program is missing: run scripts/setup.sh mail"
    done
    [ "$base" -le 31000 ] || fail "BASEPORT must be at most 31000"
    for port in 24 25 26 27 28 143 465 587 993; do
        ! listens "$((base + port))" || fail "port $((base + port)) is taken: use another BASEPORT"
    done
    mkdir -p "$dir/tls" "$dir/dovecot/run" "$dir/mail" "$dir/postfix" "$dir/rspamd" "$dir/queue" \
        "$dir/state" "$dir/log"
    chmod 755 "$dir"
    make_certificates >"$dir/log/openssl.log" 2>&1 || fail "see $dir/log/openssl.log"
    make_accounts
    make_filter pass
    make_filter fail
    fill dovecot.conf dovecot/dovecot.conf
    fill oauth2.conf dovecot/oauth2.conf
    printf 'com\ntest\n' >"$dir/rspamd/tld"
    fill rspamd.conf rspamd/rspamd.conf
    fill main.cf postfix/main.cf
    fill master.cf postfix/master.cf
    chown 5000:5000 "$dir/mail"
    chown postfix:root "$dir/state"
    setsid dovecot -F -c "$dir/dovecot/dovecot.conf" >"$dir/log/dovecot.out" 2>&1 </dev/null &
    echo $! >"$dir/dovecot.pid"
    setsid postfix -c "$dir/postfix" start >"$dir/log/postfix.out" 2>&1 </dev/null ||
        fail "Postfix: $(cat "$dir/log/postfix.out")"
    await_ports
    write_env
    if [ -n "${WATCH_PID:-}" ]; then
        setsid "$0" watch "$dir" "$WATCH_PID" >/dev/null 2>&1 </dev/null &
    fi
}

await_ports() {
    tries=0
    for port in 24 25 26 27 28 143 465 587 993; do
        until listens "$((base + port))"; do
            tries=$((tries + 1))
            [ "$tries" -lt 400 ] || fail "port $((base + port)) never opened: see $dir/log"
            sleep 0.05
        done
    done
}

write_env() {
    cat >"$dir/env" <<END
MAIL_CA=$dir/tls/ca.pem
LMTP_PORT=$((base + 24))
MX_PORT=$((base + 25))
MX_FILTERED_PORT=$((base + 28))
FILTER_PORT=$((base + 32))
DNS_PORT=$((base + 53))
MX_DMARC_PASS_PORT=$((base + 26))
MX_DMARC_FAIL_PORT=$((base + 27))
IMAP_PORT=$((base + 143))
INTROSPECTION_PORT=$((base + 80))
SMTPS_PORT=$((base + 465))
SUBMISSION_PORT=$((base + 587))
IMAPS_PORT=$((base + 993))
MAIL_USER=bot@example.test
MAIL_USER2=alice@example.test
MAIL_USER3=bob@partner.test
MAIL_PASSWORD=secret
END
}

gone() {
    tries=0
    while kill -0 "$1" 2>/dev/null && ! grep -q '^State:.Z' "/proc/$1/status"; do
        tries=$((tries + 1))
        [ "$tries" -lt 200 ] || kill -KILL "$1" 2>/dev/null || return 0
        sleep 0.05
    done
}

stop() {
    master=$(tr -d ' ' <"$dir/queue/pid/master.pid" 2>/dev/null || true)
    postfix -c "$dir/postfix" abort >/dev/null 2>&1 || true
    dovecot=$(cat "$dir/dovecot.pid" 2>/dev/null || true)
    [ -z "$dovecot" ] || kill "$dovecot" 2>/dev/null || true
    [ -z "$master" ] || gone "$master"
    [ -z "$dovecot" ] || gone "$dovecot"
    # Dovecot's children keep the listening sockets for a moment after their parent.
    port=$(sed -n 's/^IMAPS_PORT=//p' "$dir/env" 2>/dev/null || true)
    tries=0
    while [ -n "$port" ] && listens "$port" && [ "$tries" -lt 100 ]; do
        tries=$((tries + 1))
        sleep 0.05
    done
}

watch() {
    while kill -0 "$1" 2>/dev/null; do
        sleep 0.5
    done
    stop
}

[ $# -ge 2 ] || fail "usage: mail.sh start DIR BASEPORT | stop DIR"
mkdir -p "$2"
dir=$(cd "$2" && pwd)
case $1 in
start) base=${3:?BASEPORT is missing} && start ;;
stop) stop ;;
watch) watch "$3" ;;
*) fail "unknown command $1" ;;
esac
