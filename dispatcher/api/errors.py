"""Answers every named error over HTTP, by one table of status and code; app.py installs it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from dispatcher import errors as ours
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
    ours.ProviderFailed: (503, "provider_failed"),
    ours.AgentFailed: (500, "agent_failed"),  # trying again would not help
    ours.AgentLost: (503, "lost"),
    ours.ServerLost: (503, "server_lost"),
    ours.UnknownAgent: (422, "unknown_agent"),
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
_BY_STATUS: Mapping[int, tuple[str, str]] = {
    404: ("not_found", "There is nothing at this address."),
    405: ("method_not_allowed", "This address does not take this method."),
}
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


def _malformed(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    return answer(422, "bad_request", sentence(error.errors()[0]))


def _framework(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    if error.status_code == 400:  # how the framework says that it could not read a body
        return answer(422, "bad_request", "The body is not valid JSON.")
    code, text = _BY_STATUS.get(error.status_code, ("http_error", str(error.detail)))
    response = answer(error.status_code, code, text)
    response.headers.update(error.headers or {})
    return response


def _unexpected(_: Request, error: Exception) -> JSONResponse:
    return answer(500, "internal_error", "Something went wrong here; the server's log says what.")


def sentence(problem: Mapping[str, Any]) -> str:
    """One of pydantic's findings as a sentence that names the field and never repeats its value."""
    where = ".".join(str(part) for part in problem["loc"][1:])[:_SHOWN_CHARACTERS]
    if problem["type"] == "json_invalid":
        return "The body is not valid JSON."
    if not where:
        return "The body must be a JSON object, sent as application/json."
    said = str(problem["msg"]).removeprefix("Value error, ").removeprefix("Input ")
    return f"{where}: {said[:1].lower()}{said[1:]}."
