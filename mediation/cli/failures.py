"""What a user can put right is told in one line, without a trace."""

from __future__ import annotations

from typing import Any

import click
from sqlalchemy.exc import DBAPIError

from mediation.embedded import EmbeddedServerError
from mediation.settings import BadSetting
from mediation.supervision.errors import CannotRun


class _AskedWrongly(click.ClickException):
    exit_code = 2


class _Prevented(click.ClickException):
    exit_code = 1


class OneLineFailures(click.Group):
    """Exit code 2 for what the caller asked wrongly, 1 for what stands in the way."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (BadSetting, EmbeddedServerError) as error:
            raise _AskedWrongly(str(error)) from error
        except CannotRun as error:
            raise _Prevented(str(error)) from error
        except DBAPIError as error:
            raise _Prevented(f"The database: {' '.join(str(error.orig).split())}") from error
