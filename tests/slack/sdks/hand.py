"""The control API of the stand-in, for the drivers in Python."""

import json
import sys
import time
import urllib.request

API = sys.argv[1]
BASE = API.removesuffix("/api")
BOT = "xoxb-standin"
APP = "xapp-1-standin"
GENERAL = "C0GENERAL1"
ALICE = "U0ALICE001"


def act(what, **wish):
    request = urllib.request.Request(
        f"{BASE}/standin/{what}",
        json.dumps(wish).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def look(what):
    with urllib.request.urlopen(f"{BASE}/standin/{what}") as answer:
        return json.load(answer)


def until(what, see, patience=20):
    """Asks until there is something to see."""
    start = time.monotonic()
    while time.monotonic() - start < patience:
        found = see()
        if found:
            return found
        time.sleep(0.02)
    raise SystemExit(f"waited in vain for {what}")


def same(what, seen, expected):
    if seen != expected:
        raise SystemExit(f"{what}: {seen!r} instead of {expected!r}")
    print(f"ok {what}", flush=True)
