"""Answers every named error over HTTP, by one table of status and code; app.py installs it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from annotated_types import Ge, Le
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from dispatcher import errors as ours
from dispatcher.starts.idempotency import KEY_PATTERN
from session import errors as theirs
from session.errors import SessionError

STATUS: Mapping[type[SessionError], tuple[int, str]] = {
    theirs.SessionNotFound: (404, "session_not_found"),
    theirs.IllegalTransition: (409, "illegal_transition"),
    theirs.Stale: (409, "stale"),
    theirs.Conflict: (409, "conflict"),
    theirs.NoCapacity: (503, "no_capacity"),
    theirs.TooManySessions: (429, "too_many_sessions"),
    theirs.NoWorker: (503, "no_worker"),
    theirs.StoreUnavailable: (503, "store_unavailable"),
    theirs.OperationReused: (422, "idempotency_key_reused"),
    theirs.UnreadableRecord: (500, "unreadable_record"),
    theirs.BadMetadata: (422, "bad_metadata"),
    ours.LiveKitUnavailable: (503, "livekit_unavailable"),
    ours.RateLimited: (429, "rate_limited"),
    ours.StartsFailing: (503, "starts_failing"),
    ours.NotClaimed: (503, "not_claimed"),
    ours.ConnectFailed: (503, "connect_failed"),
    ours.BadConfig: (422, "bad_config"),
    ours.ProviderFailed: (503, "provider_failed"),
    ours.AgentFailed: (500, "agent_failed"),  # trying again would not help
    ours.AgentLost: (503, "lost"),
    ours.ServerLost: (503, "server_lost"),
    ours.UnknownAgent: (422, "unknown_agent"),
    ours.AlertsOff: (409, "alerts_off"),
    ours.AlertNotPosted: (502, "alert_not_posted"),
    ours.UnknownWorker: (404, "unknown_worker"),
    ours.ConfigNotAllowed: (422, "config_not_allowed"),
    ours.ProviderNotUsable: (422, "provider_not_usable"),
    ours.NotJoinable: (400, "session_not_joinable"),
    ours.NotTheirs: (403, "not_your_session"),
    ours.ProofMissing: (401, "proof_missing"),
    ours.KeyMissing: (401, "key_missing"),
    ours.KeyInvalid: (401, "key_invalid"),
    ours.KeyInAddress: (400, "key_in_address"),
    ours.OperatorsOnly: (403, "operators_only"),
    ours.LoopbackOnly: (403, "loopback_only"),
    ours.AgentNotAllowed: (403, "agent_not_allowed"),
    ours.UnknownHost: (400, "unknown_host"),
    ours.OriginNotAllowed: (403, "origin_not_allowed"),
    ours.TokenTooLarge: (422, "token_too_large"),
    ours.BadSignature: (401, "bad_signature"),
    ours.BadRequest: (422, "bad_request"),
}
RETRY_AFTER_SECONDS: Mapping[str, int] = {
    "no_capacity": 5,
    "no_worker": 5,
    "too_many_sessions": 5,
}  # a call ends, a worker comes back
DEFAULT_RETRY_SECONDS = 2  # of what else passes: a restart of the store or of LiveKit takes about that
PASSES = (429, 503)  # these say when to come back
BY_STATUS: Mapping[int, tuple[str, str]] = {
    404: ("not_found", "There is nothing at this address."),
    405: ("method_not_allowed", "This address does not take this method."),
}
INTERNAL = "Something went wrong here; the server's log says what."
NUMBERS = frozenset(
    {"int_parsing", "int_type", "int_from_float", "int_parsing_size", "greater_than_equal", "less_than_equal"}
)
PATTERNS: Mapping[str, str] = {
    KEY_PATTERN: "1 to 255 printable ASCII characters",
}
"""What the patterns of schemas and routes mean, for people."""
WORDS: Mapping[str, str] = {
    "missing": "is missing",
    "string_type": "must be text",
    "string_unicode": "must be text",
    "string_too_long": "must have at most {max_length} characters",
    "dict_type": "must be a JSON object",
    "model_type": "must be a JSON object",
    "model_attributes_type": "must be a JSON object",
    "list_type": "must be a list",
}
"""Pydantic's kinds of findings, for people."""
_SHOWN_CHARACTERS = 200  # of a sentence that repeats what was sent


def answer(status: int, code: str, sentence: str, retry_after: float | None = None) -> JSONResponse:
    """An error as every one of them looks. `retry_after`: seconds, where they are known better than from the code."""
    if retry_after is None:
        retry_after = RETRY_AFTER_SECONDS.get(code, DEFAULT_RETRY_SECONDS)
    headers = {"Retry-After": str(max(1, math.ceil(retry_after)))} if status in PASSES else {}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse({"success": False, "error": sentence, "code": code}, status_code=status, headers=headers)


def install(app: FastAPI) -> None:
    """Let `app` answer every error in our shape, the framework's own too."""
    app.add_exception_handler(SessionError, _refused)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(HTTPException, _framework)
    app.add_exception_handler(Exception, _unexpected)


def _refused(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, SessionError)
    status, code = STATUS[type(error)]
    return answer(status, code, str(error), error.retry_after)


def _malformed(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    problem = error.errors()[0]
    return answer(422, "bad_request", sentence(problem, _bounds(request, str(problem["loc"][-1]))))


def _framework(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    if error.status_code == 400:  # how the framework says that it could not read a body
        return answer(422, "bad_request", "The body is not valid JSON.")
    code, text = BY_STATUS.get(error.status_code, ("http_error", str(error.detail)))
    response = answer(error.status_code, code, text)
    response.headers.update(error.headers or {})
    return response


def _unexpected(_: Request, error: Exception) -> JSONResponse:
    return answer(500, "internal_error", INTERNAL)


def _bounds(request: Request, name: str) -> str:
    """What numbers a parameter of the asked route takes, in words; "" where it has no bounds."""
    route = request.scope.get("route")
    for each in route.dependant.query_params if isinstance(route, APIRoute) else ():
        least = [found.ge for found in each.field_info.metadata if isinstance(found, Ge)]
        most = [found.le for found in each.field_info.metadata if isinstance(found, Le)]
        if each.alias == name and least and most:
            return f" from {least[0]} to {most[0]}"
    return ""


def sentence(problem: Mapping[str, Any], bounds: str = "") -> str:
    """One of pydantic's findings as a sentence that names the field and never repeats its value.

    Args:
        problem: The finding.
        bounds: What numbers the field takes, such as " from 1 to 200".
    """
    given = ".".join(str(part) for part in problem["loc"][1:])[:_SHOWN_CHARACTERS]
    where = "".join(letter if letter.isprintable() else "?" for letter in given)  # keys are what the caller likes
    if problem["type"] == "json_invalid":
        return "The body is not valid JSON."
    if not where:
        return "The body must be a JSON object, sent as application/json."
    kind, ctx = str(problem["type"]), problem.get("ctx", {})
    if kind in NUMBERS:
        return f"{where} must be a whole number{bounds}."
    if kind == "string_pattern_mismatch":
        return f"{where} must be {PATTERNS[ctx['pattern']]}."
    if kind in WORDS:
        return f"{where} {WORDS[kind].format_map(ctx)}."
    said = str(problem["msg"]).removeprefix("Value error, ").removeprefix("Input ").replace("should be", "must be")
    return f"{where} {said[:1].lower()}{said[1:]}."
