"""`mediation verify`."""

from __future__ import annotations

from pathlib import Path

import click

from evidence.dossier import command


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--key", metavar="PEM", type=click.Path(path_type=Path), help=f"{command.KEY_HELP}.")
@click.option(
    "--receipt",
    "receipts",
    metavar="FILE",
    multiple=True,
    type=click.Path(path_type=Path),
    help=f"{command.RECEIPT_HELP}.",
)
@click.option("--json", "as_json", is_flag=True, help=f"{command.JSON_HELP}.")
@click.pass_context
def verify(context: click.Context, file: Path, key: Path | None, receipts: tuple[Path, ...], *, as_json: bool) -> None:
    """Verify a sealed case file: that nothing in it was altered, and by whom it was signed.

    Needs no database and no network. A file that is whole was signed by somebody; by whom it was only --key tells,
    with a key that you had from the deployment itself and not from the file. That the record was not rolled back only
    what you kept from before tells: a receipt of a filing, a signed head, the verify/manifest.jws of an earlier file.

    \b
    Exit status: 0 intact; 1 altered, with a line for each fault (FILE, place: what); 2 wrongly called, or a file that
    cannot be read.

    \b
    Examples:
      mediation verify D-7K4Q-9XM2-ABCD.dossier.zip
      mediation verify case.zip --key sealing-key.pem --receipt receipt.jws
    """
    try:
        status, said = command.run(file, key=key, receipts=receipts, as_json=as_json)
    except command.NotAskedRight as error:
        raise click.UsageError(str(error)) from error
    click.echo(said)
    context.exit(status)
