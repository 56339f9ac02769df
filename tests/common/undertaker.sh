#!/bin/sh
# Waits until the test that started it is gone (its end of the pipe closes) and removes what the
# test world left: undertaker.sh DIR NAME MAIL_SCRIPT
dir=$1 name=$2 mail=$3
cat >/dev/null
if [ -s "$dir/daemon.pid" ]; then
    pid=$(cat "$dir/daemon.pid")
    kill -TERM "$pid" 2>/dev/null
    tries=0
    while kill -0 "$pid" 2>/dev/null && [ "$tries" -lt 50 ]; do
        sleep 0.1
        tries=$((tries + 1))
    done
    kill -KILL "$pid" 2>/dev/null
fi
# A daemon that was killed leaves its Podman service; nobody else's has a socket in the directory.
for process in /proc/[0-9]*; do
    if tr '\0' ' ' 2>/dev/null <"$process/cmdline" | grep -q "system service .*unix://$dir/"; then
        kill -TERM "${process#/proc/}" 2>/dev/null
    fi
done
# The sandboxes of this world are those that mount something of its directory.
for id in $(podman ps -aq --filter label=airut.instance); do
    if podman inspect "$id" | grep -qF "$dir/"; then
        run=$(podman inspect -f '{{index .Config.Labels "airut.run"}}' "$id")
        podman rm -f -t 0 "$id" >/dev/null 2>&1
        [ -n "$run" ] && podman network ls -q --filter "label=airut.run=$run" |
            xargs -r podman network rm -f >/dev/null 2>&1
    fi
done
podman rm -f -t 0 "$name" >/dev/null 2>&1
podman network rm -f "$name" >/dev/null 2>&1
[ -d "$dir/mail" ] && "$mail" stop "$dir/mail" >/dev/null 2>&1
[ -e "$dir/keep" ] || rm -rf "$dir"
exit 0
