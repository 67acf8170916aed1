"""How the properties are tried."""

from hypothesis import settings

# No deadline for one example: a busy machine is no bug. No database of examples: a test run leaves nothing behind.
settings.register_profile("workflows", deadline=None, database=None)
settings.load_profile("workflows")
