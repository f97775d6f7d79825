"""Who Operator is at an etcd with authentication: a token for a name and a password.

A token is asked for when a call is refused for want of one, and again once it has run out: etcd
forgets a token that was not used for five minutes, and an etcd without authentication knows none.
"""

import asyncio
from collections.abc import Awaitable, Callable

from operator_core.call_failures import CallFailure, NotSentError, RejectedError
from operator_core.plugin_settings import Credentials
from operator_core.types import JsonObject

PATH = "/v3/auth/authenticate"

Ask = Callable[[JsonObject], Awaitable[JsonObject]]


class Login:
    """A user of etcd with its present token."""

    def __init__(self, credentials: Credentials) -> None:
        """Take who it is, which is asked for with each token: passwords are changed."""
        self.token: str | None = None
        self._credentials = credentials
        self._lock = asyncio.Lock()

    async def renew(self, refused: str | None, endpoint: str, ask: Ask) -> str:
        """Return a new token, or the one that somebody else got meanwhile.

        Args:
            refused: the token that was refused.
            endpoint: who is asked.
            ask: calls `PATH` there.

        Raises:
            RejectedError: the name or the password is wrong.
            ConfigurationError: they cannot be read any more.
            NotSentError: there was no token, so what needs one was not sent.
        """
        async with self._lock:
            if self.token is None or self.token == refused:
                self.token = await self._asked(endpoint, ask)
            return self.token

    async def _asked(self, endpoint: str, ask: Ask) -> str:
        name, password = self._credentials()
        try:
            answer = await ask({"name": name, "password": password})
        except RejectedError:
            raise
        except CallFailure as failure:
            reason = f"no token could be had: {failure.reason}"
            raise NotSentError(endpoint, failure.kind, reason) from failure
        return str(answer.get("token", ""))
