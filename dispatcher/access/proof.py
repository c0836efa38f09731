"""How a caller proves that a session is its own, without an API key: by the session's secret or by a token of it."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field

import jwt

from session.fence import caller_identity

_LEAST, _MOST = 20, 16_384  # characters of what is looked at
_DIGITS = 40  # of the secret: 160 bits


@dataclass(frozen=True, slots=True)
class Proofs:
    """Makes and checks proofs. Nothing is stored: both follow from LiveKit's API secret, which callers never see.

    Args:
        api_secret: LiveKit's.
    """

    api_secret: str = field(repr=False)

    def secret_of(self, session_id: str) -> str:
        """The `sessionSecret` of this session."""
        text = f"greenroom-session-secret:{session_id}".encode()
        return f"{session_id}.{hmac.new(self.api_secret.encode(), text, hashlib.sha256).hexdigest()[:_DIGITS]}"

    def proven(self, presented: str) -> str | None:
        """The id of the session that this secret or token belongs to; None: it proves nothing.

        A token proves its session for as long as the session lives, also when it can no longer be used to join.
        """
        if not _LEAST <= len(presented) <= _MOST or not presented.isascii():
            return None
        if presented.count(".") == 1:
            session_id = presented.partition(".")[0]
            return session_id if hmac.compare_digest(presented, self.secret_of(session_id)) else None
        return self._of_token(presented)

    def _of_token(self, token: str) -> str | None:
        try:
            claims = jwt.decode(token, self.api_secret, algorithms=["HS256"], options={"verify_exp": False})
        except jwt.InvalidTokenError:
            return None
        grants = claims.get("video")
        room = grants.get("room") if isinstance(grants, dict) else None
        if not isinstance(room, str) or claims.get("sub") != caller_identity(room):
            return None  # an agent's token, or one of another service with the same secret
        return room
