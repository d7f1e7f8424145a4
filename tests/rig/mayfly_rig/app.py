"""The server's application: faults and the log around moto, moto's own share under the lock."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterable
from contextlib import nullcontext
from typing import Any

from . import control, stubs
from .faults import CALLS, FAULTS, Fault
from .tokens import TOKENS
from .wire import Call, Reply, error, refused, understand
from .world import WORLD

LOCKED = {"ec2", "autoscaling", "iam"}
# Of two writers that both want to be the first, one must see the other.
CONDITIONS = threading.Lock()


class App:
    """A WSGI application around another."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answers one request."""
        if environ["PATH_INFO"].startswith("/_rig/"):
            return _send(control.answer(environ), start_response)
        call = understand(environ)
        began = time.time()
        no = refused(call, WORLD.now(), WORLD.settings.date_slack_secs)
        if no is not None:
            CALLS.add(call, int(no.status[:3]), began, 0.0)
            return _send(no, start_response)
        struck = FAULTS.take(call)
        if struck is None:
            return self._answer(call, environ, start_response, began)
        return self._strike(call, struck, environ, start_response, began)

    def _answer(self, call: Call, environ: dict[str, Any], start_response: Any, began: float) -> Iterable[bytes]:
        reply, took = self._perform(call, environ)
        CALLS.add(call, int(reply.status[:3]), began, took)
        return _send(reply, start_response)

    def _strike(self, call: Call, struck: Fault, environ: dict[str, Any], start_response: Any, began: float) -> Iterable[bytes]:
        breaks = struck.reset or struck.status
        done = self._perform(call, environ) if struck.applied else None
        time.sleep(struck.latency_secs)
        if breaks:
            return _break(call, struck, environ, start_response, began)
        if done is None:
            return self._answer(call, environ, start_response, began)
        reply, took = done
        CALLS.add(call, int(reply.status[:3]), began, took)
        return _send(reply, start_response)

    def _perform(self, call: Call, environ: dict[str, Any]) -> tuple[Reply, float]:
        if call.service not in LOCKED:
            began = time.monotonic()
            with CONDITIONS if _is_conditional(environ) else nullcontext():
                reply = stubs.answer(call) or self._inner(environ)
            return reply, time.monotonic() - began
        with WORLD.lock:
            began = time.monotonic()
            known = TOKENS.replay(call) or stubs.answer(call)
            reply = known or self._inner(environ)
            if known is None:
                TOKENS.keep(call, reply)
            return reply, time.monotonic() - began

    def _inner(self, environ: dict[str, Any]) -> Reply:
        started: list[Any] = []

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            started[:] = [status, headers]
            return lambda data: None

        answer = self.inner(environ, start)
        try:
            body = b"".join(answer)
        finally:
            if hasattr(answer, "close"):
                answer.close()
        return Reply(started[0], started[1], body)


def _is_conditional(environ: dict[str, Any]) -> bool:
    writes = environ["REQUEST_METHOD"] in ("PUT", "POST", "DELETE")
    return writes and ("HTTP_IF_NONE_MATCH" in environ or "HTTP_IF_MATCH" in environ)


def _send(reply: Reply, start_response: Any) -> Iterable[bytes]:
    headers = [(name, value) for name, value in reply.headers if name.lower() != "content-length"]
    length = [(name, value) for name, value in reply.headers if name.lower() == "content-length"]
    # The answer to HEAD names the length of what it does not carry.
    start_response(
        reply.status, [*headers, *(length if not reply.body and length else [("Content-Length", str(len(reply.body)))])]
    )
    return [reply.body]


def _break(call: Call, struck: Fault, environ: dict[str, Any], start_response: Any, began: float) -> Iterable[bytes]:
    CALLS.add(call, 0 if struck.reset else struck.status, began, 0.0)
    if struck.reset:
        environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
        raise ConnectionResetError("injected by the rig")
    return _send(error(call, struck.status, struck.code, struck.message), start_response)
