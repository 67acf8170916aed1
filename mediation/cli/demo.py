"""`mediation demo`."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click
import httpx

from mediation import settings
from mediation.demo import dialogues
from mediation.demo.client import Api
from mediation.demo.errors import Broken
from mediation.demo.people import cast
from mediation.demo.play import perform
from mediation.demo.screen import Screen
from mediation.demo.script import Script, kettle
from mediation.demo.story import Play


class _BadFile(click.ClickException):
    exit_code = 2


def _address(ctx: click.Context, parameter: click.Parameter, value: str | None) -> str:
    if value is None:
        served = settings.load()
        return f"http://{served.host}:{served.port}"
    try:
        url = httpx.URL(value)
    except httpx.InvalidURL as error:
        raise click.BadParameter(f"{value} is not an address: {error}") from error
    if url.scheme not in ("http", "https") or not url.host:
        raise click.BadParameter(f"{value} must be an address like http://127.0.0.1:8080")
    return value.rstrip("/").removesuffix("/v1")


@click.command()
@click.option(
    "--url",
    metavar="URL",
    callback=_address,
    help="Where the API answers.  [default: $HOST and $PORT, else http://127.0.0.1:8080]",
)
@click.option(
    "--chat",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="A conversation to take as the evidence: one JSON line with its messages.",
)
@click.option(
    "--home",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder with the key that signs tokens.  [default: $MEDIATION_HOME or ./var]",
)
@click.option(
    "--token-key",
    metavar="PATH",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The key that signs tokens, if it lies elsewhere.  [default: $TOKEN_KEY or the home's]",
)
@click.option(
    "--wait",
    type=click.FloatRange(0, 3600),
    default=30,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for the refund.",
)
def demo(url: str, chat: Path | None, home: Path | None, token_key: Path | None, wait: float) -> None:
    """Play a whole dispute against a running API, telling each step.

    A quarrel from the order to the money returned: claim, refusal, chat log, a decision that quotes it, an appeal, the
    refund; then the record is recomputed from what the API answers. Orders are new each time, so it can be repeated.
    Ends with a status other than 0 if any step fails.

    \b
    Examples:
      mediation demo
      mediation demo --url http://127.0.0.1:9000 --home /srv/mediation
      head -n 1 dialogues.jsonl > one.jsonl && mediation demo --chat one.jsonl
    """
    script = _script(chat)
    loaded = settings.load(home=home, token_key=token_key)
    screen = Screen()
    try:
        with _api(url, loaded, script) as api:
            api.require_ready()
            play = Play(api, script, screen, wait)
            perform(play, screen)
    except Broken as error:
        raise click.ClickException(str(error)) from error
    screen.closing(
        f"Settled: {play.case['reference']} is {play.case['state']}.",
        f"The case stays on file: {url}/v1{play.path}",
        f"A token to read it with: mediation token --role buyer --subject {script.buyer['id']}",
    )


def _script(chat: Path | None) -> Script:
    if chat is None:
        return kettle(datetime.now(UTC))
    try:
        return dialogues.read(chat)
    except dialogues.NotADialogue as error:
        raise _BadFile(str(error)) from error
    except OSError as error:
        raise _BadFile(f"{chat} cannot be read: {error.strerror}") from error


def _api(url: str, loaded: settings.Settings, script: Script) -> Api:
    path = loaded.token_key_path
    # A key made here would be nobody's: the API would refuse every token without saying why.
    if not path.is_file():
        raise settings.BadSetting(
            f"TOKEN_KEY: there is no key at {path}; name the API's with --token-key, or its folder with --home"
        )
    try:
        return Api(url, loaded, cast(script.buyer, script.seller))
    except (OSError, ValueError) as error:
        raise settings.BadSetting(f"TOKEN_KEY: {path} cannot be used: {error}") from error
