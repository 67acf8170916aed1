"""What `mediation up` tells its user once everything answers."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import click
import httpx
import structlog

from mediation.auth import issue_token
from mediation.settings import BadSetting, Settings

log = structlog.get_logger(__name__)

LIFETIME = timedelta(hours=24)
SUBJECTS = {
    "buyer": "buyer-1",
    "seller": "shop-17",
    "mediator": "mediator-1",
    "senior": "senior-1",
    "supervisor": "supervisor-1",
    "platform": "platform-1",
    "admin": "admin-1",
}


def issue_tokens(settings: Settings) -> dict[str, str]:
    """One token for each role, by role; makes the key that signs them if there is none.

    Raises BadSetting if the key cannot be used.
    """
    try:
        return {
            role: issue_token(settings, subject=subject, role=role, lifetime=LIFETIME)
            for role, subject in SUBJECTS.items()
        }
    except (OSError, ValueError) as error:
        raise BadSetting(f"TOKEN_KEY: {settings.token_key_path} cannot be used: {error}") from error


def greet(address: str, tokens: Mapping[str, str], *, sandbox: bool) -> None:
    """Print the address, the tokens and three commands to try, each on one line to be copied whole."""
    click.echo()
    click.secho(f"mediation answers at {address}", bold=True, fg="green")
    if sandbox:
        click.secho("This is a sandbox: an admin moves the time of cases and makes refunds fail.", fg="yellow")
    click.echo(f"The contract to browse: {address}/docs")
    click.echo()
    click.secho(f"One token per role, good for {LIFETIME // timedelta(hours=1)} hours:", bold=True)
    for role, token in tokens.items():
        click.echo(
            f"  {click.style(f'{role:<10}', fg='cyan')} {click.style(f'{SUBJECTS[role]:<12}', dim=True)} {token}"
        )
    click.echo()
    click.secho("Three commands to try:", bold=True)
    for command in _commands(address, tokens["mediator"]):
        click.echo(f"  {command}")
    click.echo()
    click.secho("Ctrl-C stops everything; the data stay.", dim=True)


def _commands(address: str, token: str) -> list[str]:
    bearer = f"-H 'Authorization: Bearer {token}'"
    listing = f"curl -s {bearer} {address}/v1/cases"
    try:
        case = _first_case(address, token)
    except httpx.HTTPError as error:
        # The installation runs; whoever types the commands will see what the API has to say.
        log.warning("cases_not_listed", why=str(error))
        case = None
    if case is None:
        return [listing, f"curl -s {address}/v1/openapi.json", f"curl -s {address}/readyz"]
    one = f"{address}/v1/cases/{case['id']}"
    names = [action["name"] for action in case.get("actions", [])]
    if "take" in names:
        act = f"curl -s {bearer} -H 'Content-Type: application/json' -d '{{}}' {one}/actions/take"
    else:
        act = f"curl -s {bearer} {one}/docket"
    return [listing, f"curl -s {bearer} {one}", act]


def _first_case(address: str, token: str) -> dict[str, Any] | None:
    """The first case the mediator sees, None if there is none yet."""
    # Proxies of the environment are for other machines.
    with httpx.Client(trust_env=False, base_url=address, headers={"Authorization": f"Bearer {token}"}) as client:
        # One that waits for a mediator shows more than one that does not.
        for wanted in ({"queue": "mediation"}, {}):
            found = client.get("/v1/cases", params={"limit": 1, **wanted}).raise_for_status().json()["items"]
            if found:
                case: dict[str, Any] = found[0]
                return case
    return None
