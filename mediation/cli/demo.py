"""`mediation demo`."""

from __future__ import annotations

from dataclasses import replace
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
from mediation.demo.script import Dispute
from mediation.demo.stories import STORIES
from mediation.demo.stories.kettle import KETTLE
from mediation.demo.story import Play, Story


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


def _listed() -> list[str]:
    width = max(map(len, STORIES))
    return [f"  {story.name:<{width}}  {story.about}" for story in STORIES.values()]


def _list(ctx: click.Context, parameter: click.Parameter, wanted: bool) -> None:
    if wanted:
        click.echo("\n".join(_listed()))
        ctx.exit()


def _currency(ctx: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    if value is not None and not (len(value) == 3 and value.isascii() and value.isupper() and value.isalpha()):
        raise click.BadParameter(f"{value} must be a currency code like CNY.")
    return value


@click.command(epilog="\b\nStories:\n" + "\n".join(_listed()))
@click.option(
    "--story", type=click.Choice(tuple(STORIES)), metavar="NAME", help=f"Which one to play.  [default: {KETTLE.name}]"
)
@click.option(
    "--list", is_flag=True, expose_value=False, is_eager=True, callback=_list, help="Name the stories and end."
)
@click.option("--currency", metavar="CODE", callback=_currency, help="Play it in another currency, such as JPY or KWD.")
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
    help="A conversation to take as the evidence of the kettle's story: one JSON line with its messages.",
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
    help="How long to wait for the worker.",
)
def demo(
    *,
    url: str,
    story: str | None,
    currency: str | None,
    chat: Path | None,
    home: Path | None,
    token_key: Path | None,
    wait: float,
) -> None:
    """Play a whole dispute against a running API, telling each step.

    From the order to the money returned, as buyer, seller, staff and platform would over HTTP; then the record is
    recomputed from what the API answers, and the money. Orders are new each time, so it can be repeated. Where days go
    by, the API must be a sandbox. Ends with a status other than 0 if anything is not as the story says.

    \b
    Examples:
      mediation demo
      mediation demo --story never-shipped
      mediation demo --story above-authority --currency KWD
      mediation demo --url http://127.0.0.1:9000 --home /srv/mediation
      head -n 1 dialogues.jsonl > one.jsonl && mediation demo --chat one.jsonl
    """
    told, dispute = _told(story, chat)
    if currency is not None:
        dispute = replace(dispute, currency=currency)
    loaded = settings.load(home=home, token_key=token_key)
    screen = Screen()
    try:
        with _api(url, loaded, dispute) as api:
            api.require_ready()
            play = Play(api, dispute, screen, wait)
            if told.needs_sandbox:
                # Asked at once: nobody wants to learn it half-way through.
                play.now = api.move_clock("PT0S")
            perform(play, told.steps, screen)
    except Broken as error:
        raise click.ClickException(str(error)) from error
    screen.closing(
        f"Settled: {play.case['reference']} is {play.case['state']}.",
        f"The case stays on file: {url}/v1{play.path}",
        f"A token to read it with: mediation token --role buyer --subject {dispute.buyer['id']}",
    )


def _told(name: str | None, chat: Path | None) -> tuple[Story, Dispute]:
    """The story that was asked for, and the dispute it is told about."""
    if chat is None:
        story = STORIES[name or KETTLE.name]
        return story, story.dispute(datetime.now(UTC))
    if name not in (None, KETTLE.name):
        raise click.UsageError(f"--chat goes with the story {KETTLE.name} only.")
    try:
        return KETTLE, dialogues.read(chat)
    except dialogues.NotADialogue as error:
        raise _BadFile(str(error)) from error
    except OSError as error:
        raise _BadFile(f"{chat} cannot be read: {error.strerror}") from error


def _api(url: str, loaded: settings.Settings, dispute: Dispute) -> Api:
    path = loaded.token_key_path
    # A key made here would be nobody's: the API would refuse every token without saying why.
    if not path.is_file():
        raise settings.BadSetting(
            f"TOKEN_KEY: there is no key at {path}; name the API's with --token-key, or its folder with --home"
        )
    try:
        return Api(url, loaded, cast(dispute.buyer, dispute.seller))
    except (OSError, ValueError) as error:
        raise settings.BadSetting(f"TOKEN_KEY: {path} cannot be used: {error}") from error
