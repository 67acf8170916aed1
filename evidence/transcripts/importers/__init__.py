"""One module a format. Whatever stands in this folder is a format: adding one is adding a file here.

`evidence.transcripts.pieces` says what such a module holds.
"""

import importlib
import pkgutil
from collections.abc import Iterator
from functools import cache
from typing import Protocol, cast

from evidence.transcripts.pieces import Piece, Stated
from evidence.transcripts.source import Source


class Importer(Protocol):
    """What a module of this folder looks like to its callers."""

    NAME: str
    TITLE: str

    def likeness(self, source: Source) -> int:
        """How surely, 0 to 100, the source is in this format."""

    def pieces(self, source: Source, stated: Stated) -> Iterator[Piece]:
        """Every part of the source in order."""


@cache
def importers() -> dict[str, Importer]:
    """Every format by its name, sorted."""
    modules = [
        cast(Importer, importlib.import_module(f"{__name__}.{found.name}"))
        for found in pkgutil.iter_modules(__path__)
        if not found.name.startswith("_")
    ]
    return {one.NAME: one for one in sorted(modules, key=lambda one: one.NAME)}
