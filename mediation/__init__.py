"""A back end for disputes: one procedure, evidence to the letter, a record nobody rewrites, refunds that leave once."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask

    from mediation.services import Services
    from mediation.settings import Settings

__version__ = version("mediation")


def create_app(settings: Settings, services: Services | None = None) -> Flask:
    """The WSGI application for a database that is there and migrated; logs are for the process that runs it to set up.

    Raises BadSetting where a setting is missing, sqlalchemy.exc.DBAPIError where the database cannot be reached.
    """
    # Inside, so that the command line starts without the web.
    from flask import Flask  # noqa: PLC0415

    from mediation import api  # noqa: PLC0415
    from mediation.services import build  # noqa: PLC0415

    app = Flask("mediation", static_folder=None)
    app.extensions["mediation"] = services or build(settings)
    api.register(app, __version__)
    return app
