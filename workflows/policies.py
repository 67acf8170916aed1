"""Policies: the limits, sums and defaults that a platform sets, in rows that hold for some matters or for all.

A document is read once and whole. After that each setting is looked up by what the matter is about, and the most
specific row that sets it decides. Where documents and their versions are kept is not known here.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from copy import deepcopy
from functools import lru_cache
from importlib.resources import files
from typing import Any

from workflows.money import share
from workflows.policy_reading import Reading
from workflows.policy_rows import (
    BASE,
    KEYS,
    OTHER,
    Compensation,
    Found,
    LimitKind,
    Matter,
    PoliciesNotReadable,
    Row,
    Silence,
    SilenceFires,
    SilenceNeeds,
)
from workflows.working_days import Limit

__all__ = [
    "BASE",
    "KEYS",
    "OTHER",
    "Compensation",
    "Found",
    "LimitKind",
    "Matter",
    "Policies",
    "PoliciesNotReadable",
    "Row",
    "Silence",
    "SilenceFires",
    "SilenceNeeds",
    "from_document",
    "late_shipment_compensation",
    "read",
    "shipped",
]


class Policies:
    """One document, read. `document` is the plain, JSON-able dict that it was read from; leave it as it is."""

    def __init__(self, document: dict[str, Any], rows: list[Row]) -> None:
        self.document = document
        self.name: str = document["name"]
        self.categories: frozenset[str] = frozenset(document["categories"])
        self.rows: tuple[str, ...] = tuple(row.id for row in rows)
        self._rows = sorted(rows, key=lambda row: row.weight, reverse=True)
        # Every step of every case asks, and matters are few beside cases.
        self._find = lru_cache(maxsize=8192)(self._search)

    def _search(self, setting: str, matter: Matter) -> Found[Any] | None:
        for row in self._rows:
            if setting in row.settings and row.holds_for(matter):
                return Found(row.settings[setting], row.id)
        return None

    def _base(self, setting: str, matter: Matter) -> Found[Any]:
        found = self._find(setting, matter)
        assert found is not None, f"reading made sure that {setting} is set for every matter"
        return found

    def limit(self, kind: LimitKind, matter: Matter) -> Found[Limit]:
        return self._base(f"limits.{kind}", matter)

    def silence(self, matter: Matter) -> Found[Silence]:
        return self._base("silence", matter)

    def authority(self, role: str, currency: str, matter: Matter) -> Found[int | None]:
        """The largest sum in minor units that a role orders alone; None if any, then said by the least special row."""
        found = self._find(f"authority.{role}", matter)
        if found is None:
            return Found(None, self._rows[-1].id)
        return Found(_in_currency(found.value, currency), found.row)

    def compensation(self, matter: Matter) -> Found[Compensation]:
        return self._base("compensation", matter)

    def compensation_cap(self, currency: str, matter: Matter) -> Found[int | None]:
        """The most that all compensation of one order comes to, in minor units; None if there is no cap."""
        found = self.compensation(matter)
        return Found(_in_currency(found.value.cap, currency), found.row)

    def freight_cap(self, currency: str, matter: Matter) -> Found[int | None]:
        """The most that is repaid of return freight, in minor units; None if neither the currency nor other is set."""
        found = self._base("freight_cap", matter)
        return Found(_in_currency(found.value, currency), found.row)

    def advance(self, matter: Matter) -> Found[bool]:
        """Whether the platform pays first and recovers the sum from the seller."""
        return self._base("advance", matter)

    def return_address(self, matter: Matter) -> Found[Mapping[str, str]] | None:
        return self._find("return_address", matter)


def _in_currency(sums: Mapping[str, int], currency: str) -> int | None:
    return sums.get(currency, sums.get(OTHER))


def late_shipment_compensation(found: Compensation, price_minor: int, currency: str) -> int:
    """What late shipment costs, in minor units: a share of the price, half a unit rounded up, then floor, then cap."""
    if price_minor < 0:
        raise ValueError("A price is not negative.")
    owed = max(share(price_minor, found.share_percent), _in_currency(found.floor, currency) or 0)
    cap = _in_currency(found.cap, currency)
    return owed if cap is None else min(owed, cap)


# --- reading -----------------------------------------------------------------------------------------------------


def shipped() -> str:
    """The text of the policies that are shipped."""
    return files("workflows").joinpath("default_policies.toml").read_text("utf-8")


def read(text: str) -> Policies:
    """Policies from TOML. Raises PoliciesNotReadable; under `document`, with the line, if it is not even TOML."""
    try:
        document = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise PoliciesNotReadable({"document": [f"Is not valid TOML: {error}."]}) from error
    return from_document(document)


def from_document(document: Mapping[str, Any]) -> Policies:
    """Policies from the plain dict that a database kept. Raises PoliciesNotReadable with everything that is wrong."""
    reading = Reading()
    rows = reading.whole(document)
    if reading.errors:
        raise PoliciesNotReadable(reading.errors)
    return Policies(deepcopy(dict(document)), rows)
