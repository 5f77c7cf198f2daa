"""The addresses of the page: /ui, and the form that keeps a token in a cookie.

The cookie is out of the reach of scripts and goes with no request from another site (HttpOnly, SameSite=Strict), and
the two forms take no request that another site made, so that nobody is signed in as somebody else.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from fastapi import Request, Response  # noqa: TC002 - FastAPI reads the annotations
from fastapi.responses import HTMLResponse, RedirectResponse

from tidewaiter.webhook.ui.page import CSP, page, sign_in
from tidewaiter.webhook.ui.view import gather
from tidewaiter.webhook.ui.viewer import LONGEST_TOKEN, PATH

if TYPE_CHECKING:
    from fastapi import FastAPI

    from tidewaiter.webhook.serving import Serving
    from tidewaiter.webhook.ui import Ui

COOKIE = "tidewaiter-token"
_HEADERS = {
    "Content-Security-Policy": CSP,
    "Cache-Control": "no-store",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_REFUSALS = {
    "unknown token": (401, "The API server does not know this token, or it has ended."),
    "forbidden": (
        403,
        "The token is known, and its user may not GET /ui. A ClusterRole can permit it.",
    ),
    "busy": (429, "Too many tokens are being tried. Try again in a few seconds."),
    "unreachable": (503, "The API server does not answer, so nobody can be let in. Try again."),
}
_LARGEST_FORM = 4 * LONGEST_TOKEN
_FRESH = 1.0
"""Seconds for which a page that was made is good: however many look, making it costs once a second."""


def add_routes(app: FastAPI, serving: Serving, ui: Ui) -> None:
    """Serve the page."""
    made_at, made = float("-inf"), ""

    @app.get(PATH, include_in_schema=False)
    async def show(request: Request) -> Response:
        nonlocal made_at, made
        token = _token(request)
        if not token:
            return _html(sign_in(), 401)
        answer = await ui.viewers.ask(token)
        if answer != "allowed":
            return _refused(answer)
        now = time.monotonic()
        if now - made_at > _FRESH:
            made, made_at = page(gather(serving, ui.activity)), now
        return _html(made)

    @app.post(f"{PATH}/login", include_in_schema=False)
    async def log_in(request: Request) -> Response:
        if not _is_own(request):
            return _html(sign_in("The form was sent by another site."), 403)
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > _LARGEST_FORM:
                return _html(sign_in("That is no token."), 413)
        token = parse_qs(body.decode("ascii", "replace")).get("token", [""])[0].strip()
        answer = await ui.viewers.ask(token)
        if answer != "allowed":
            return _refused(answer)
        response = RedirectResponse(PATH, 303, _HEADERS)
        response.set_cookie(
            COOKIE, token, path=PATH, httponly=True, samesite="strict", secure=_is_tls(request)
        )
        return response

    @app.post(f"{PATH}/logout", include_in_schema=False)
    async def log_out(request: Request) -> Response:
        if not _is_own(request):
            return _html(sign_in("The form was sent by another site."), 403)
        response = RedirectResponse(PATH, 303, _HEADERS)
        response.delete_cookie(
            COOKIE, path=PATH, httponly=True, samesite="strict", secure=_is_tls(request)
        )
        return response


def _token(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return token.strip()
    return request.cookies.get(COOKIE, "")


def _is_own(request: Request) -> bool:
    """Say whether a form was sent by this page. A browser states where a form that is sent comes from."""
    site = request.headers.get("sec-fetch-site")
    if site is not None and site not in {"same-origin", "none"}:
        return False
    origin = request.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == request.headers.get("host")


def _is_tls(request: Request) -> bool:
    return request.url.scheme == "https"


def _refused(answer: str) -> HTMLResponse:
    status, message = _REFUSALS[answer]
    return _html(sign_in(message), status)


def _html(text: str, status: int = 200) -> HTMLResponse:
    headers = {**_HEADERS, "WWW-Authenticate": "Bearer"} if status == 401 else _HEADERS
    return HTMLResponse(text, status, headers)
