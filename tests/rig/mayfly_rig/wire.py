"""AWS on the wire: which action a request is, and what its errors and answers look like."""

from __future__ import annotations

import io
import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

SCOPE = re.compile(r"Credential=([^/]+)/\d+/([^/]+)/([^/]+)/aws4_request")
FORMS = {"ec2", "autoscaling", "iam", "sts"}
BODY_MAX = 8 * 1024 * 1024


@dataclass
class Call:
    """A request, as far as it has to be understood here."""

    service: str
    action: str
    region: str
    account: str
    key: str = ""
    # When it was signed, by the client's clock.
    signed: float | None = None
    params: dict[str, str] = field(default_factory=dict)
    body: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """For logs and counts."""
        return f"{self.service} {self.action}"


@dataclass
class Reply:
    """A whole answer."""

    status: str
    headers: list[tuple[str, str]]
    body: bytes


def understand(environ: dict[str, Any]) -> Call:
    """Reads the request's head, and its body where that names the action; the body can be read again."""
    found = SCOPE.search(environ.get("HTTP_AUTHORIZATION", ""))
    key, region, service = found.groups() if found else ("", "us-east-1", "")
    call = Call(service, "", region, str(environ.get("HTTP_X_MOTO_ACCOUNT_ID", key)), key, _signed(environ))
    target = environ.get("HTTP_X_AMZ_TARGET", "")
    if target:
        call.action = target.rpartition(".")[2]
        call.body = _json(_read(environ))
    elif service in FORMS and environ["REQUEST_METHOD"] == "POST":
        call.params = dict(parse_qsl(_read(environ).decode("utf-8", "replace"), keep_blank_values=True))
        call.action = call.params.get("Action", "")
    else:
        call.action = f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}"
    return call


def _signed(environ: dict[str, Any]) -> float | None:
    try:
        date = datetime.strptime(environ.get("HTTP_X_AMZ_DATE", ""), "%Y%m%dT%H%M%SZ")
    except ValueError:
        return None
    return date.replace(tzinfo=UTC).timestamp()


def _read(environ: dict[str, Any]) -> bytes:
    length = min(int(environ.get("CONTENT_LENGTH") or 0), BODY_MAX)
    body: bytes = environ["wsgi.input"].read(length)
    environ["wsgi.input"] = io.BytesIO(body)
    return body


def _json(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body or b"{}")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


REASONS = {200: "OK", 400: "Bad Request", 403: "Forbidden", 500: "Internal Server Error", 503: "Service Unavailable"}


# An instance's keys name their own end: who uses them later is refused.
SESSION = re.compile(r"^ASIARIG(\d+)$")


def refused(call: Call, now: float, slack: float) -> Reply | None:
    """Why a call is not even looked at: its keys have ended, or it was signed by a clock that is wrong."""
    found = SESSION.match(call.key)
    if found and now >= float(found.group(1)):
        return error(call, 400, "ExpiredToken", "The provided token has expired.")
    if not slack or call.signed is None or abs(call.signed - now) <= slack:
        return None
    if call.service == "s3":
        text = "The difference between the request time and the current time is too large."
        return error(call, 403, "RequestTimeTooSkewed", text)
    if call.service == "ec2":
        return error(call, 401, "AuthFailure", "AWS was not able to validate the provided access credentials")
    return error(call, 403, "SignatureDoesNotMatch", "Signature expired: it is too far from the time of now")


def error(call: Call, status: int, code: str, message: str) -> Reply:
    """An error in the words of the call's protocol."""
    line = f"{status} {REASONS.get(status, 'Error')}"
    code, message = escape(code), escape(message) if call.service in FORMS | {"s3"} else message
    if call.service == "ec2":
        text = (
            f"<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors>"
            "<RequestID>rig</RequestID></Response>"
        )
        return Reply(line, [("Content-Type", "text/xml;charset=UTF-8")], text.encode())
    if call.service in FORMS:
        kind = "Receiver" if status >= 500 else "Sender"  # noqa: PLR2004
        text = (
            f"<ErrorResponse><Error><Type>{kind}</Type><Code>{code}</Code><Message>{message}</Message></Error>"
            "<RequestId>rig</RequestId></ErrorResponse>"
        )
        return Reply(line, [("Content-Type", "text/xml")], text.encode())
    if call.service == "s3":
        text = f"<Error><Code>{code}</Code><Message>{message}</Message><RequestId>rig</RequestId></Error>"
        return Reply(line, [("Content-Type", "application/xml")], text.encode())
    return json_reply({"__type": code, "message": message}, status)


def json_reply(value: Any, status: int = 200) -> Reply:
    """An answer of a JSON service."""
    line = f"{status} {REASONS.get(status, 'Error')}"
    return Reply(line, [("Content-Type", "application/x-amz-json-1.1")], json.dumps(value).encode())


def xml_reply(text: str) -> Reply:
    """An answer of EC2."""
    return Reply("200 OK", [("Content-Type", "text/xml;charset=UTF-8")], text.encode())


def numbered(params: dict[str, str], prefix: str) -> list[str]:
    """`Prefix.1`, `Prefix.2`, … of a form."""
    found: list[str] = []
    while (value := params.get(f"{prefix}.{len(found) + 1}")) is not None:
        found.append(value)
    return found
