"""What can end the demonstration early."""

from __future__ import annotations


class Broken(Exception):
    """A step did not come to what the story needs; the message says why, in one line or a few."""


class Unreachable(Broken):
    """Nothing answers at the address."""
