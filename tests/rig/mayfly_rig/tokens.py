"""ClientToken: the same call with the same token is one call; with other parameters it is refused."""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict

from .wire import Call, Reply, error

KEPT = 20_000


class Tokens:
    """Replies by token. Used under the world's lock."""

    def __init__(self) -> None:
        self._replies: OrderedDict[tuple[str, str, str, str], tuple[str, Reply]] = OrderedDict()

    def replay(self, call: Call) -> Reply | None:
        """The reply that this token had already got."""
        key = _key(call)
        if key is None or key not in self._replies:
            return None
        digest, reply = self._replies[key]
        if digest == _digest(call):
            return reply
        return error(
            call,
            400,
            "IdempotentParameterMismatch",
            f"Arguments on this idempotent request are inconsistent with arguments used in previous request(s). Token: {key[3]}",
        )

    def keep(self, call: Call, reply: Reply) -> None:
        """Remembers a reply of success."""
        key = _key(call)
        if key is not None and reply.status.startswith("200"):
            self._replies[key] = (_digest(call), reply)
            while len(self._replies) > KEPT:
                self._replies.popitem(last=False)


def _key(call: Call) -> tuple[str, str, str, str] | None:
    token = call.params.get("ClientToken")
    if call.service != "ec2" or not token:
        return None
    return (call.account, call.region, call.action, token)


def _digest(call: Call) -> str:
    own = {key: value for key, value in call.params.items() if key != "ClientToken"}
    return hashlib.sha256(json.dumps(own, sort_keys=True).encode()).hexdigest()


TOKENS = Tokens()
