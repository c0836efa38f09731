"""Jobs, requests and settings as LiveKit and the environment would give them to a worker."""

from __future__ import annotations

from typing import Any

from livekit.agents import JobRequest
from livekit.agents.job import JobAcceptArguments
from livekit.protocol.agent import Job
from livekit.protocol.models import Room

from session.fence import Ticket
from worker.settings import WorkerSettings

SECRET = "a-secret-of-thirty-two-characters"


def a_job(job_id: str = "job_a", *, room: str = "session_a", metadata: str | None = None, attempt: int = 1) -> Job:
    """A job for `room`, with the ticket of the session of that name unless other metadata is given."""
    carried = Ticket(room, attempt).to_json() if metadata is None else metadata
    return Job(id=job_id, room=Room(name=room, sid=f"RM_{room}"), metadata=carried)


def settings(**changes: Any) -> WorkerSettings:
    facts: dict[str, Any] = {"livekit_api_key": "key", "livekit_api_secret": SECRET, "slots": 2, "max_bots": 5}
    return WorkerSettings(_env_file=None, **{**facts, **changes})


class Asked:
    """LiveKit's question whether the worker takes a job, and how it was answered."""

    def __init__(self, job: Job, *, fails: Exception | None = None) -> None:
        self.accepted: list[JobAcceptArguments] = []
        self.rejected: list[bool] = []
        self._fails = fails
        self.request = JobRequest(job=job, on_reject=self._reject, on_accept=self._accept)

    async def _reject(self, terminate: bool) -> None:
        self.rejected.append(terminate)

    async def _accept(self, arguments: JobAcceptArguments) -> None:
        if self._fails is not None:
            raise self._fails
        self.accepted.append(arguments)
