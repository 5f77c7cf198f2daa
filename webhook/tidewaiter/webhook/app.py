"""The application: FastAPI for what people and Prometheus ask, plain ASGI for the reviews, one description of all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from starlette.exceptions import HTTPException

from tidewaiter.rules.version import __version__
from tidewaiter.webhook.api_description import REVIEW_PATHS, SCHEMAS
from tidewaiter.webhook.log import logger
from tidewaiter.webhook.reviews import PATHS, Reviews

if TYPE_CHECKING:
    from tidewaiter.webhook.reviews import Receive, Scope, Send
    from tidewaiter.webhook.serving import Serving

_METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_TEXT = {"content": {"text/plain": {"schema": {"type": "string"}}}}


class Application:
    """Sends each request to the reviews or to FastAPI."""

    def __init__(self, serving: Serving) -> None:
        """Make both."""
        self.reviews = Reviews(serving)
        self.rest = _rest(serving, self.reviews)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request. No traceback is logged: its last line may quote a value."""
        if scope["type"] != "http":
            return
        started = False

        async def sending(message: Any) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            if scope["path"] in PATHS:
                await self.reviews(scope, receive, sending)
            else:
                await self.rest(scope, receive, sending)
        except Exception as error:  # noqa: BLE001 - whatever a defect is, the client gets an answer
            logger.error("a request failed, which is a defect: %s", type(error).__name__)
            if not started:
                response = JSONResponse({"message": "this is a defect of tidewaiter"}, 500)
                await response(scope, receive, send)


def _rest(serving: Serving, reviews: Reviews) -> FastAPI:
    app = FastAPI(
        title="tidewaiter",
        version=__version__,
        description="Judges what is sent to a Kubernetes cluster.",
        redirect_slashes=False,
        redoc_url=None,
        docs_url=None,
    )

    @app.get("/livez", response_class=PlainTextResponse, responses={200: _TEXT})
    async def livez() -> PlainTextResponse:
        """Say that the process answers."""
        return PlainTextResponse("ok\n")

    @app.get(
        "/readyz",
        response_class=PlainTextResponse,
        responses={200: _TEXT, 503: {"description": "Not ready", **_TEXT}},
        openapi_extra={
            "parameters": [
                {
                    "name": "verbose",
                    "in": "query",
                    "description": "Name each condition; the value does not matter.",
                    "allowEmptyValue": True,
                    "schema": {"type": "string"},
                }
            ]
        },
    )
    async def readyz(request: Request) -> PlainTextResponse:
        """Say whether reviews may be sent here: policy loaded, watches synced, not shutting down."""
        conditions = serving.readiness()
        is_ready = all(state == "ok" for state in conditions.values())
        if "verbose" in request.query_params:
            text = _verbose(conditions, serving.notes(), is_ready=is_ready)
        elif is_ready:
            text = "ok\n"
        else:
            text = "".join(f"{n}: {state}\n" for n, state in conditions.items() if state != "ok")
        return PlainTextResponse(text, 200 if is_ready else 503)

    @app.get("/metrics", response_class=PlainTextResponse, responses={200: _TEXT})
    async def metrics() -> Response:
        """Return the metrics for Prometheus."""
        serving.measure(reviews.in_flight)
        return Response(serving.metrics.page(), media_type=_METRICS_TYPE)

    if serving.ui is not None:
        from tidewaiter.webhook.ui.routes import add_routes

        add_routes(app, serving, serving.ui)

    @app.exception_handler(HTTPException)
    async def refuse(_: Request, refused: HTTPException) -> JSONResponse:
        """Answer another path or method in the form of the other refusals."""
        return JSONResponse({"message": refused.detail}, refused.status_code, refused.headers)

    made = app.openapi

    def openapi() -> dict[str, Any]:
        """Describe the reviews too, which FastAPI does not serve."""
        description = made()
        description["paths"] = {**REVIEW_PATHS, **description["paths"]}
        description.setdefault("components", {}).setdefault("schemas", {}).update(SCHEMAS)
        return description

    app.openapi = openapi  # type: ignore[method-assign]
    return app


def _verbose(conditions: dict[str, str], notes: dict[str, str], *, is_ready: bool) -> str:
    """Write the conditions as the API server's own /readyz?verbose does."""
    lines = [
        f"[+]{name} ok" if state == "ok" else f"[-]{name} failed: {state}"
        for name, state in conditions.items()
    ]
    lines += [f"   {name}: {note}" for name, note in notes.items()]
    lines.append(f"readyz check {'passed' if is_ready else 'failed'}")
    return "\n".join(lines) + "\n"
