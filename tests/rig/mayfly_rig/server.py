"""Wires it together: moto with all patches, the tick, and the listening socket."""

from __future__ import annotations

import sys
import threading
import traceback
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import BaseWSGIServer, make_server

from . import buckets, describe, ec2, groups, launch, network, reconcile, schedule, templates
from .app import App
from .world import WORLD

PERIOD_SECS = 0.05


class Handler(MotoRequestHandler):
    """Calls are logged by the rig."""

    def date_time_string(self, timestamp: float | None = None) -> str:
        """The `Date` of an answer is AWS's, not this machine's."""
        return str(super().date_time_string(WORLD.now() if timestamp is None else timestamp))

    def log_request(self, code: Any = "-", size: Any = "-") -> None:
        """Says nothing."""


def serve(port: int, settings: dict[str, Any]) -> BaseWSGIServer:
    """Starts everything; returns when the port is bound."""
    WORLD.settings.update(settings)
    for part in (buckets, templates, launch, ec2, network, describe, groups, schedule):
        part.install()
    server = make_server(
        "127.0.0.1", port, App(DomainDispatcherApplication(create_backend_app)), threaded=True, request_handler=Handler
    )
    server.daemon_threads = True  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    threading.Thread(target=_tick, daemon=True).start()
    return server


def _tick() -> None:
    while True:
        WORLD.wake.wait(PERIOD_SECS)
        WORLD.wake.clear()
        with WORLD.lock:
            try:
                now = WORLD.now()
                schedule.tick(now)
                reconcile.tick(now)
                ec2.tick(now)
            except Exception:
                traceback.print_exc(file=sys.stderr)
