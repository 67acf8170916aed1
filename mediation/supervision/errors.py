"""Why `mediation up` does not start, or stops by itself."""


class CannotRun(Exception):
    """The installation cannot run as asked; the message says why and what to do."""
