"""The API as its users meet it: over HTTP, each call under the token of the one who makes it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from ipaddress import ip_address
from types import TracebackType
from typing import Any

import httpx

from mediation.auth import issue_token
from mediation.demo.errors import Broken, Unreachable
from mediation.demo.people import Person
from mediation.settings import Settings

TIMEOUT = 15.0  # seconds
#: What one call may take that fires everything which falls due on the way, in every case of the deployment.
CLOCK_TIMEOUT = 120.0  # seconds
TOKENS_LIVE = timedelta(hours=1)


class Api:
    """A client of the API at `url` for everyone in `cast`; their tokens are signed with the settings' token key."""

    def __init__(self, url: str, settings: Settings, cast: Mapping[str, Person]) -> None:
        self.url = url
        self.cast = cast
        self._key = settings.token_key_path
        self._tokens = {
            who: issue_token(
                settings, subject=person.subject, role=person.role, acts_for=person.party, lifetime=TOKENS_LIVE
            )
            for who, person in cast.items()
        }
        # The proxies of the environment are for other machines.
        self._client = httpx.Client(base_url=url, timeout=TIMEOUT, trust_env=not _is_local(url))

    def __enter__(self) -> Api:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def require_ready(self) -> None:
        """Raises Unreachable if nothing answers there, Broken if what answers is not this API or is not ready."""
        try:
            answer = self._client.get("/readyz")
        except httpx.HTTPError as error:
            raise Unreachable(
                f"The API at {self.url} cannot be reached: {_why(error)}. `mediation up` starts one."
            ) from error
        told = _object(answer)
        if answer.status_code != httpx.codes.OK:
            raise Broken(f"What answers at {self.url} is not ready: {_told(answer)}")
        if told.get("status") != "ready":
            raise Broken(f"What answers at {self.url} is not a mediation API.")

    def move_clock(self, span: str) -> datetime:
        """Let so much time of a sandbox go by (ISO 8601); what its time is then. Raises Broken where it is none."""
        path, body = "/sandbox/clock", {"advance": span}
        answer = self._send("admin", "POST", path, json=body, timeout=CLOCK_TIMEOUT)
        if answer.status_code == httpx.codes.NOT_FOUND:
            raise Broken(
                f"Days go by in this story; the API at {self.url} is no sandbox, `mediation up --sandbox` starts one."
            )
        if answer.status_code != httpx.codes.OK:
            raise Broken(self._unexpected(answer, "POST", path, 200))
        return datetime.fromisoformat(_object(answer)["now"])

    def call(
        self, who: str, method: str, path: str, *, json: Any = None, expect: int = 200, **params: Any
    ) -> dict[str, Any]:
        """One call under /v1; the JSON object it answers with the status that is expected.

        Raises Broken with the problem's words for any other status, and when the connection fails.
        """
        answer = self._send(who, method, path, json=json, params=params)
        if answer.status_code != expect:
            raise Broken(self._unexpected(answer, method, path, expect))
        return _object(answer)

    def content(self, who: str, path: str) -> bytes:
        """The bytes at an address. Raises Broken like `call`."""
        answer = self._send(who, "GET", path)
        if answer.status_code != httpx.codes.OK:
            raise Broken(self._unexpected(answer, "GET", path, 200))
        return answer.content

    def every(self, who: str, path: str) -> Iterator[dict[str, Any]]:
        """All items of a list, page after page."""
        params: dict[str, Any] = {"limit": 100}
        while True:
            page = self.call(who, "GET", path, **params)
            yield from page["items"]
            if page["next_cursor"] is None:
                return
            params["cursor"] = page["next_cursor"]

    def _send(
        self,
        who: str,
        method: str,
        path: str,
        *,
        json: Any = None,
        params: Mapping[str, Any] | None = None,
        timeout: float = TIMEOUT,
    ) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self._tokens[who]}"}
        try:
            return self._client.request(
                method, f"/v1{path}", json=json, params=params or None, headers=headers, timeout=timeout
            )
        except httpx.HTTPError as error:
            raise Broken(f"{method} /v1{path}: the connection failed: {_why(error)}") from error

    def _unexpected(self, answer: httpx.Response, method: str, path: str, expected: int) -> str:
        said = f"{method} /v1{path}: {_told(answer)}"
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            return f"{said} The tokens were signed with {self._key}: is it the key of this API?"
        return said if answer.is_error else f"{said} (where {expected} was expected)"


def _is_local(url: str) -> bool:
    host = httpx.URL(url).host
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _why(error: httpx.HTTPError) -> str:
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__


def _object(answer: httpx.Response) -> dict[str, Any]:
    try:
        value = answer.json()
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _told(answer: httpx.Response) -> str:
    """What an answer says went wrong: status, code, sentence, and the fields that are named."""
    problem = _object(answer)
    if "code" not in problem:
        return f"it answers {answer.status_code} {answer.reason_phrase}".rstrip() + ", and no problem of this API's."
    said = f"{answer.status_code} {problem['code']}: {problem.get('detail')}"
    fields = problem.get("errors")
    if isinstance(fields, dict):
        said += "".join(f" [{name}: {' '.join(map(str, why))}]" for name, why in fields.items())
    return said
