"""`mediation token`."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import click

from mediation import settings
from mediation.auth import issue_token
from workflows.states import TOKEN_ROLES


@click.command()
@click.option(
    "--role", required=True, type=click.Choice([str(role) for role in TOKEN_ROLES]), help="What the bearer may do."
)
@click.option("--subject", required=True, metavar="ID", help="Who the bearer is.")
@click.option("--acts-for", metavar="ID", help="The party the bearer acts for, such as a shop.  [default: the subject]")
@click.option(
    "--marketplace", metavar="ID", help="The marketplace the token is good for.  [default: $MARKETPLACE or demo]"
)
@click.option(
    "--hours",
    type=click.FloatRange(0, 24 * 366, min_open=True),
    default=12,
    show_default=True,
    help="How long it is good.",
)
@click.option(
    "--home",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder with the key that signs.  [default: $MEDIATION_HOME or ./var]",
)
def token(home: Path | None, hours: float, **claims: str | None) -> None:
    """Print an access token for the API.

    \b
    Examples:
      mediation token --role mediator --subject kim
      mediation token --role seller --subject clerk-3 --acts-for shop-17 --hours 1
      curl -H "Authorization: Bearer $(mediation token --role admin --subject me)" http://127.0.0.1:8080/v1/cases
    """
    loaded = settings.load(home=home)
    if not loaded.token_key_path.exists():
        # A key made here would sign tokens that no running API accepts.
        raise settings.BadSetting(
            f"TOKEN_KEY: there is no key at {loaded.token_key_path}; `mediation up` makes it, --home names the folder"
        )
    try:
        click.echo(issue_token(loaded, lifetime=timedelta(hours=hours), **claims))  # type: ignore[arg-type]
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    except OSError as error:
        raise settings.BadSetting(f"TOKEN_KEY: {loaded.token_key_path} cannot be used: {error.strerror}") from error
