from datetime import timedelta

import pytest
from livekit import api

from dispatcher.access.proof import Proofs
from session.fence import agent_identity, caller_identity

SECRET = "livekit-secret-0123456789abcdef0123456789"
ID = "session_" + "a" * 32
PROOFS = Proofs(SECRET)


def token(*, secret: str = SECRET, identity: str = caller_identity(ID), room: str = ID, seconds: int = 600) -> str:
    access = api.AccessToken("devkey", secret).with_identity(identity).with_ttl(timedelta(seconds=seconds))
    return access.with_grants(api.VideoGrants(room_join=True, room=room)).to_jwt()


def test_a_sessions_secret_proves_that_session() -> None:
    assert PROOFS.proven(PROOFS.secret_of(ID)) == ID
    assert SECRET not in repr(PROOFS)


@pytest.mark.parametrize("seconds", [600, -600])
def test_a_token_proves_its_session_expired_or_not(seconds: int) -> None:
    assert PROOFS.proven(token(seconds=seconds)) == ID


@pytest.mark.parametrize(
    "shown",
    [
        "",
        ID,
        f"{ID}.",
        f"{ID}.{'0' * 40}",
        PROOFS.secret_of(ID)[:-1],
        PROOFS.secret_of(ID) + "0",
        PROOFS.secret_of("session_b").replace("session_b", ID),
        Proofs("another-secret-0123456789abcdef0123456789").secret_of(ID),
        token(secret="another-secret-0123456789abcdef0123456789"),
        token(identity=agent_identity(ID, 1)),
        token(room="another room"),
        "a.b.c" * 10,
        "é" * 40,
        "x" * 20_000,
    ],
    ids=range(14),
)
def test_what_proves_nothing(shown: str) -> None:
    assert PROOFS.proven(shown) is None


def test_a_token_without_a_signature_proves_nothing() -> None:
    head, body, _ = token().split(".")
    assert PROOFS.proven(f"{head}.{body}.") is None
    none = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0"  # {"alg":"none","typ":"JWT"}
    assert PROOFS.proven(f"{none}.{body}.") is None
