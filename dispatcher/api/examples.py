"""One example of each request and answer of the API, by the name of its schema; openapi.py shows them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SESSION_ID = "session_4f1c2a9be07d4a3f8c55d0e1b7a6924c"
TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJ2aWRlbyI6e319.signature"
URL = "ws://127.0.0.1:7880"
ASKED_AT = 1795900000.0
SECRET = "the-session-secret-of-this-session"
SESSION: Mapping[str, Any] = {
    "sessionId": SESSION_ID,
    "status": "ready",
    "userId": "user-42",
    "agent": "default",
    "createdAt": ASKED_AT,
    "prewarmed": True,
    "startupTime": 0.43,
    "attempt": 1,
    "recoveries": 0,
    "caller": "present",
    "worker": "worker_9d2e",
    "release": "",
    "lastActive": ASKED_AT + 12.5,
    "error": None,
    "endReason": None,
    "endedAt": None,
}
COUNTS: Mapping[str, int] = {"idle": 3, "starting": 0, "active": 1}
EXAMPLES: Mapping[str, Mapping[str, Any]] = {
    "Success": {"success": True},
    "HealthAnswer": {
        "success": True,
        "status": "healthy",
        "warnings": [],
        "sessions": {"ready": 1, "starting": 0, "recovering": 0, "pool": 3, "total": 1},
        "stats": {"totalSpawned": 7, "totalAssigned": 3, "avgStartupTime": 0.44},
        "capacity": {"current": 1, "max": 50, "available": 49},
    },
    "PoolAnswer": {"success": True, "target": 3, **COUNTS, "workers": [{"id": "worker_9d2e", "target": 3, **COUNTS}]},
    "ResizeBody": {"size": 6},
    "ResizeAnswer": {"success": True, "size": 6, "applied": 6, "message": "6 processes are kept warm."},
    "WorkersAnswer": {
        "success": True,
        "count": 1,
        "workers": [
            {
                "id": "worker_9d2e",
                "target": 3,
                **COUNTS,
                "host": "voice-1",
                "status": "serving",
                "slots": 8,
                "startedAt": ASKED_AT - 3600.0,
                "seenAt": ASKED_AT + 12.0,
                "failedWarmups": 0,
                "agents": ["default"],
                "release": "",
                "calls": [
                    {"sessionId": SESSION_ID, "pid": 4711, "since": ASKED_AT, "ownMemory": 52_000_000},
                ],
            }
        ],
    },
    "AlertTestAnswer": {"success": True, "message": "The receiver of WEBHOOK_URL took the alert GreenroomTest."},
    "OrderAnswer": {"success": True, "message": "The worker takes no new calls; those it has go on."},
    "StartBody": {
        "userId": "user-42",
        "userName": "Ann",
        "agent": "default",
        "metadata": {"order": 1234},
        "config": {"voice": "heart", "language": "en"},
    },
    "StartAnswer": {
        "success": True,
        "sessionId": SESSION_ID,
        "sessionSecret": SECRET,
        "status": "ready",
        "prewarmed": True,
        "reused": False,
        "message": "Session ready",
        "estimatedWait": 0.0,
        "queuePosition": None,
        "taskId": f"start-{SESSION_ID}",
        "roomName": SESSION_ID,
        "url": URL,
        "token": TOKEN,
    },
    "SessionBody": {"sessionId": SESSION_ID},
    "StopAnswer": {"success": True, "message": "Session stopped"},
    "TokenBody": {"sessionId": SESSION_ID, "userName": "Ann"},
    "TokenAnswer": {"success": True, "token": TOKEN, "url": URL, "roomName": SESSION_ID},
    "TokenSourceBody": {
        "participant_name": "Ann",
        "room_config": {"agents": [{"agent_name": "default", "metadata": '{"order": 1234}'}]},
    },
    "TokenSourceAnswer": {"server_url": URL, "participant_token": TOKEN},
    "SessionAnswer": {"success": True, **SESSION, "phone": None},
    "SessionsAnswer": {"success": True, "count": 1, "sessions": [dict(SESSION)], "cursor": None},
    "TranscriptAnswer": {
        "success": True,
        "sessionId": SESSION_ID,
        "items": [
            {"speaker": "agent", "text": "Hello, how can I help you?", "at": ASKED_AT + 0.6, "interrupted": False},
            {"speaker": "user", "text": "What time is it?", "at": ASKED_AT + 4.1, "interrupted": False},
        ],
        "cursor": None,
    },
    "LogsAnswer": {
        "success": True,
        "sessionId": SESSION_ID,
        "logs": [{"at": ASKED_AT + 0.01, "level": "info", "event": "starting", "agent": "default"}],
    },
    "TimingsAnswer": {
        "success": True,
        "sessionId": SESSION_ID,
        "attempt": 1,
        "steps": [{"name": "request", "ms": 0.0}, {"name": "room", "ms": 5.1}, {"name": "ready", "ms": 421.0}],
    },
}
