"""The parts of `mediation up`: its lock, its port, its children, and what it tells the user."""

from mediation.supervision.parent import die_with_parent

__all__ = ["die_with_parent"]
