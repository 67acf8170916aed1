"""The command line: `mediation`."""

from __future__ import annotations

import click

from mediation.cli.audit import audit
from mediation.cli.clock import clock
from mediation.cli.database import database
from mediation.cli.demo import demo
from mediation.cli.dossier import dossier
from mediation.cli.failures import OneLineFailures
from mediation.cli.keys import keys
from mediation.cli.policies import policies
from mediation.cli.procedure import procedure
from mediation.cli.token import token
from mediation.cli.transcript import transcript
from mediation.cli.up import up
from mediation.cli.verify import verify


@click.group(cls=OneLineFailures, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="mediation")
def main() -> None:
    """Settle disputes between buyers and sellers, with evidence anyone can check.

    Settings come from the environment (docs/operations.md lists them); the options here win over it.

    \b
    Try it out:
      mediation up --demo --sandbox                       everything up, with cases to work on
      mediation token --role mediator --subject kim       a token for the API
    """


main.add_command(up)
main.add_command(demo)
main.add_command(token)
main.add_command(database)
main.add_command(clock)
main.add_command(policies)
main.add_command(keys)
main.add_command(procedure)
main.add_command(verify)
main.add_command(transcript)
main.add_command(dossier)
main.add_command(audit)
