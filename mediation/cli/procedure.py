"""`mediation procedure`."""

from __future__ import annotations

from pathlib import Path

import click

from workflows import diagram


@click.command()
@click.option("--table", "only", flag_value="table", help="The table alone.")
@click.option("--diagram", "only", flag_value="diagram", help="The state diagram alone, as Mermaid.")
@click.option(
    "--write",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Put both between the marks of a Markdown file instead of printing them.",
)
def procedure(only: str | None, write: Path | None) -> None:
    """Print the procedure that the service obeys: its table, and its state diagram.

    \b
    Examples:
      mediation procedure
      mediation procedure --diagram > procedure.mmd
      mediation procedure --write docs/lifecycle.md
    """
    if write is not None:
        try:
            page = diagram.refreshed(write.read_text(encoding="utf-8"))
        except ValueError as error:
            raise click.ClickException(f"{write}: {error}") from error
        write.write_text(page, encoding="utf-8")
        return
    if only != "diagram":
        click.echo(diagram.table())
    if only is None:
        click.echo()
    if only != "table":
        click.echo(diagram.mermaid())
