"""Acts of people: what a signed-in person tells, passed to the control service under that person's name."""

from http import HTTPStatus

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from gateway.control.answers import Answer, RefusalAnswer
from gateway.web.control import Control
from gateway.web.signing import Signing

REQUESTS = frozenset({"swap", "swap-back", "capture", "resend"})  # not told of a session: each is a request of its own
KEY_HEADER = "idempotency-key"  # by which an act that is sent again is carried out once
_Fields = dict[str, str | bool | int | float | list[str] | None]


class Acts:
    """Takes acts as JSON: the fields of a control act, without `request`, `person` and `key`."""

    def __init__(self, signing: Signing, control: Control) -> None:
        self._signing = signing
        self._control = control

    async def take(self, request: Request) -> Response:
        """Answer one act: 200 once it is recorded, else why it was refused. Nothing is kept for later."""
        person = self._signing.person(request)
        if person is None:
            return _refused(HTTPStatus.UNAUTHORIZED, "nobody is signed in", "a sign-in")
        if not await self._signing.has_form_token(request, person):
            return _refused(HTTPStatus.FORBIDDEN, "this page is of another sign-in", "the page loaded anew")
        self._signing.touch(request)
        try:
            fields = msgspec.json.decode(await request.body(), type=_Fields)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return _refused(HTTPStatus.BAD_REQUEST, "not the fields of an act", "one JSON object")
        act = fields.get("act")
        if not isinstance(act, str) or act not in person.may:
            return _refused(HTTPStatus.FORBIDDEN, f"not an act of {person.role}", "another role's sign-in")
        if act in REQUESTS:
            fields = {name: value for name, value in fields.items() if name != "act"} | {"request": act}
        else:
            key = request.headers.get(KEY_HEADER)
            fields |= {"request": "tell"} | ({"key": key} if key else {})
        line = msgspec.json.encode(fields | {"person": person.name})
        answer = await self._control.tell(line, person.actor)
        if answer is None:
            return _refused(HTTPStatus.SERVICE_UNAVAILABLE, "the gateway cannot record any more", "")
        taken = msgspec.json.decode(answer, type=Answer).ok
        return Response(answer, HTTPStatus.OK if taken else HTTPStatus.CONFLICT, media_type="application/json")


def _refused(status: HTTPStatus, error: str, accepted: str) -> Response:
    body = msgspec.json.encode(RefusalAnswer(error=error, accepted=accepted))
    return Response(body, status, media_type="application/json")
