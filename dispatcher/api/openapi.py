"""Completes the app's OpenAPI description by examples and the errors that each route may answer; app.py installs it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from dispatcher.api.errors import BY_STATUS, INTERNAL, PASSES, STATUS
from dispatcher.api.examples import EXAMPLES
from dispatcher.api.middleware import BODY_SECONDS, MAX_BODY_BYTES, too_large, too_slow

CODES: Mapping[str, int] = {code: status for status, code in STATUS.values()} | {
    "body_too_large": 422,
    "request_timeout": 408,
    "internal_error": 500,
    "method_not_allowed": 405,
}
"""Status of each code, those of the middleware and the framework too."""
SENTENCES: Mapping[str, str] = {code: (kind.__doc__ or "").split("\n")[0] for kind, (_, code) in STATUS.items()} | {
    "body_too_large": too_large(MAX_BODY_BYTES),
    "request_timeout": too_slow(BODY_SECONDS),
    "internal_error": INTERNAL,
    **dict(BY_STATUS.values()),
}
"""A sentence of each code, as an example."""
ANYWHERE = ("bad_request", "key_in_address", "internal_error")
BY_NAME = ("unknown_host",)  # of all but probes and webhooks, which may come by any name of ours
POSTED = ("body_too_large", "request_timeout")
FROM_PAGES = ("origin_not_allowed",)
CALLERS = ("key_missing", "key_invalid", "loopback_only", "agent_not_allowed", "rate_limited", "store_unavailable")
OWNERS = (
    "session_not_found", "proof_missing", "not_your_session", "key_invalid", "rate_limited", "store_unavailable",
    "unreadable_record",
)  # fmt: skip
OPERATORS = ("key_missing", "key_invalid", "operators_only", "loopback_only", "rate_limited", "store_unavailable")
ROUTES: Mapping[str, Sequence[str]] = {
    "post /api/session/start": (
        *BY_NAME, *FROM_PAGES, *CALLERS, "too_many_sessions", "no_worker", "no_capacity", "starts_failing",
        "livekit_unavailable", "unknown_agent", "config_not_allowed", "provider_not_usable", "bad_config",
        "idempotency_key_reused", "not_claimed", "connect_failed", "provider_failed", "agent_failed", "lost",
        "server_lost", "unreadable_record", "conflict",
    ),
    "post /api/session/stop": (*BY_NAME, *FROM_PAGES, *OWNERS, "conflict"),
    "post /api/token": (*BY_NAME, *FROM_PAGES, *OWNERS, "session_not_joinable"),
    "post /api/livekit/token": (
        *BY_NAME, *FROM_PAGES, *CALLERS, "token_too_large", "too_many_sessions", "no_worker", "no_capacity",
        "unknown_agent",
    ),
    "get /api/session/{session_id}": (
        *BY_NAME, "session_not_found", "method_not_allowed", "store_unavailable", "unreadable_record",
    ),
    "get /api/session/{session_id}/transcript": (*BY_NAME, *OWNERS),
    "get /api/session/{session_id}/logs": (*BY_NAME, *OWNERS),
    "get /api/session/{session_id}/timings": (*BY_NAME, *OWNERS),
    "get /api/sessions": (*BY_NAME, *OPERATORS),
    "get /api/pool": (*BY_NAME, *OPERATORS),
    "post /api/pool/resize": (*BY_NAME, *FROM_PAGES, *OPERATORS, "no_worker"),
    "post /api/alerts/test": (*BY_NAME, *FROM_PAGES, *OPERATORS, "alerts_off", "alert_not_posted"),
    "get /api/workers": (*BY_NAME, *OPERATORS),
    "post /api/workers/{worker_id}/drain": (*BY_NAME, *FROM_PAGES, *OPERATORS, "unknown_worker"),
    "post /api/workers/{worker_id}/cordon": (*BY_NAME, *FROM_PAGES, *OPERATORS, "unknown_worker"),
    "post /api/workers/{worker_id}/uncordon": (*BY_NAME, *FROM_PAGES, *OPERATORS, "unknown_worker"),
    "get /api/health": (),
    "get /healthz": (),
    "get /readyz": ("store_unavailable",),
    "get /metrics": OPERATORS,
    "post /webhooks/livekit": ("bad_signature", "store_unavailable"),
}  # fmt: skip
"""What each route may answer besides ANYWHERE and POSTED."""
ERROR: Mapping[str, Any] = {
    "title": "Error",
    "type": "object",
    "required": ["success", "error", "code"],
    "properties": {
        "success": {"const": False, "type": "boolean", "description": "Never true."},
        "error": {"type": "string", "description": "What is wrong, as a sentence for people; it may change."},
        "code": {"type": "string", "description": "What is wrong, for programs; it stays."},
    },
}
RETRY: Mapping[str, Any] = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}}


def install(app: FastAPI) -> None:
    """Let `app` describe its errors as it answers them; the description is made when it is first asked for."""

    def described() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = complete(get_openapi(title=app.title, version=app.version, routes=app.routes))
        return app.openapi_schema

    app.openapi = described  # type: ignore[method-assign]  # how FastAPI wants it replaced


def complete(schema: dict[str, Any]) -> dict[str, Any]:
    """The description with examples, and the errors of every route in our shape instead of the framework's.

    Args:
        schema: FastAPI's; changed in place.

    Raises:
        KeyError: a route is not in ROUTES.
    """
    for path, ways in schema["paths"].items():
        for method, route in ways.items():
            posted = POSTED if method == "post" else ()
            answers = _answers((*ANYWHERE, *posted, *ROUTES[f"{method} {path}"]))
            given = route["responses"]
            given.pop("422", None)
            # Health is answered in one shape, whatever its status.
            route["responses"] = {**given, **{code: each for code, each in answers.items() if code not in given}}
    kinds = schema["components"]["schemas"]
    for name in ("HTTPValidationError", "ValidationError"):
        kinds.pop(name, None)
    kinds["Error"] = dict(ERROR)
    for name, example in EXAMPLES.items():
        kinds[name]["examples"] = [example]
    return schema


def _answers(codes: Sequence[str]) -> dict[str, Any]:
    """Descriptions of the errors with these codes, by status, lowest first."""
    found: dict[int, list[str]] = {}
    for code in codes:
        found.setdefault(CODES[code], []).append(code)
    return {
        str(status): {
            "description": ", ".join(f"`{each}`" for each in sorted(found[status])),
            "content": {
                "application/json": {
                    "schema": {"$ref": "#/components/schemas/Error"},
                    "examples": {each: {"value": _error(each)} for each in sorted(found[status])},
                }
            },
            **({"headers": dict(RETRY)} if status in PASSES else {}),
        }
        for status in sorted(found)
    }


def _error(code: str) -> dict[str, Any]:
    return {"success": False, "error": SENTENCES[code], "code": code}
