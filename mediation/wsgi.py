"""The application for any WSGI server: `mediation.wsgi:app`, configured by the environment."""

from mediation import create_app
from mediation.settings import load

app = create_app(load())
