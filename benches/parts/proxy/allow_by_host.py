"""What mitmdump is told: requests to one host may pass, all others are answered with 403."""

import os

from mitmproxy import http

ALLOWED = {os.environ["ALLOWED_HOST"]}


def request(flow: http.HTTPFlow) -> None:
    """Answers what is not allowed without asking upstream."""
    if flow.request.pretty_host not in ALLOWED:
        flow.response = http.Response.make(403, b"blocked")
