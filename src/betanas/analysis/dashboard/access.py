"""Who may look, and who may change something.

Loopback only unless there is a token. On loopback the request must be addressed to this machine by a name of its own,
or another site's name that was pointed here (DNS rebinding) would pass for ours. Whatever changes something is a POST
whose `Origin` is the page itself. Every word from a study is text, and a content security policy stands behind that.
"""

from __future__ import annotations

import hmac
import ipaddress
import secrets
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from time import monotonic
from urllib.parse import urlsplit

from flask import Flask, Response, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from betanas.analysis.errors import AnalysisError

TOKEN_HEADER = "X-BetaNAS-Token"  # noqa: S105 - the header's name
LEAST_TOKEN = 16

# Wrong tokens that one address may try in a minute, and addresses that are remembered.
MOST_WRONG, _PERIOD, _ADDRESSES = 10, 60.0, 1000
_POLICY = (
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; worker-src 'self' blob:; "
    "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_FORM = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>BetaNAS dashboard</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>:root{{color-scheme:light dark}}body{{font:1rem/1.5 system-ui,sans-serif;max-width:24rem;margin:15vh auto;
padding:0 1rem}}input,button{{font:inherit;padding:.5rem;width:100%;box-sizing:border-box;margin:.3rem 0}}</style>
</head><body><main><h1>BetaNAS dashboard</h1><form method="post" action="/login">
<label for="token">Token</label><input id="token" name="token" type="password" autocomplete="current-password" required>
<button>Open</button></form><p role="alert">{message}</p></main></body></html>"""


def is_loopback(host: str) -> bool:
    """Whether a host name or address means this machine and nobody else can reach it."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def check_opening(host: str, token: str | None) -> None:
    """Refuse to open the dashboard to others without a token worth the name.

    Raises:
        AnalysisError: there is no token where one is needed, or it is too short.
    """
    hint = f"Type --token with a secret of your own, for example {secrets.token_urlsafe(16)}."
    if token is None and not is_loopback(host):
        raise AnalysisError(
            "A dashboard that others can reach must have a token: it can stop a search.", value=host, hint=hint
        )
    if token is not None and len(token) < LEAST_TOKEN:
        raise AnalysisError(
            f"A token must have at least {LEAST_TOKEN} characters.", value=f"{len(token)} characters", hint=hint
        )


class Access:
    """Guards every request to a Flask server.

    Args:
        token: what a visitor must show, in the header `X-BetaNAS-Token` or in the cookie that the login form sets;
            None where only this machine can reach the server.
        script_hashes: gives those of the page's own inline scripts, as a content security policy names them; asked
            with every page, since Dash adds scripts with the first request.
    """

    def __init__(self, token: str | None, script_hashes: Callable[[], Sequence[str]]) -> None:
        self._token = token
        self._cookie = secrets.token_urlsafe(32)
        self._script_hashes = script_hashes
        self._wrong: OrderedDict[str, deque[float]] = OrderedDict()

    def install(self, server: Flask) -> None:
        """Stand before and behind every request."""
        server.before_request(self._admit)
        server.after_request(self._harden)

    def _admit(self) -> AnyResponse | None:
        if self._token is None and not is_loopback(urlsplit(f"//{request.host}").hostname or ""):
            return _refused("This dashboard answers to this machine's own names only.", 403)
        if request.method not in ("GET", "HEAD", "OPTIONS") and not _same_origin():
            return _refused("A request that may change something must come from the dashboard's own page.", 403)
        if self._token is None:
            return None
        if _same(request.cookies.get(self._cookie_name, ""), self._cookie):
            return None
        if self._has_guessed_too_often():
            refusal = _refused("Too many wrong tokens: wait a minute.", 429)
            refusal.headers["Retry-After"] = f"{_PERIOD:.0f}"
            return refusal
        if request.path == "/login" and request.method == "POST":
            return self._log_in(request.form.get("token", ""))
        offered = request.headers.get(TOKEN_HEADER, "")
        if self._is_right(offered):
            return None
        if not offered and request.path == "/" and request.method == "GET":
            return Response(_FORM.format(message=""), 401, mimetype="text/html")
        return _refused("This dashboard needs its token.", 401)

    def _is_right(self, offered: str) -> bool:
        """Whether a token is the right one; a wrong one is remembered."""
        right = _same(offered, self._token or "")
        if offered and not right:
            self._wrong.setdefault(_visitor(), deque(maxlen=MOST_WRONG)).append(monotonic())
            while len(self._wrong) > _ADDRESSES:
                self._wrong.popitem(last=False)
        return right

    def _has_guessed_too_often(self) -> bool:
        tried = self._wrong.get(_visitor())
        return tried is not None and len(tried) == MOST_WRONG and monotonic() - tried[0] < _PERIOD

    def _log_in(self, offered: str) -> AnyResponse:
        if not self._is_right(offered):
            return Response(_FORM.format(message="That is not the token."), 401, mimetype="text/html")
        answer = redirect("/", 303)
        answer.set_cookie(
            self._cookie_name, self._cookie, httponly=True, samesite="Strict", secure=request.is_secure, path="/"
        )
        return answer

    @property
    def _cookie_name(self) -> str:
        # Browsers send a host's cookies to all its ports: two dashboards must not take each other's.
        return f"betanas_dashboard_{urlsplit(f'//{request.host}').port or 80}"

    def _harden(self, response: Response) -> Response:
        if response.mimetype == "text/html":
            # plotly's WebGL figures compile code, so scripts of our own may do that.
            scripts = " ".join(("'self'", "'unsafe-eval'", *self._script_hashes()))
            response.headers["Content-Security-Policy"] = f"script-src {scripts}; {_POLICY}"
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "same-origin"
        if response.mimetype in ("text/html", "application/json"):
            response.headers["Cache-Control"] = "no-store"
        return response


def _visitor() -> str:
    return request.remote_addr or ""


def _same_origin() -> bool:
    origin = request.headers.get("Origin", "")
    return bool(origin) and urlsplit(origin).netloc == request.host


def _same(offered: str, expected: str) -> bool:
    """Compare in a time that tells nothing about where they differ."""
    return hmac.compare_digest(offered.encode(), expected.encode())


def _refused(words: str, status: int) -> Response:
    return Response(f"{words}\n", status, mimetype="text/plain")
