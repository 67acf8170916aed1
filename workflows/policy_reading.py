"""Reading a document of policies: every rule that it breaks is told, field by field, all at once."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any

from workflows.policy_rows import BASE, KEYS, OTHER, Compensation, LimitKind, Row, Silence, SilenceFires, SilenceNeeds
from workflows.remedies import MAX_MINOR
from workflows.states import STAFF, Reason, Request
from workflows.working_days import Limit, parse


class Reading:
    """One pass over a document. Each method takes a field's path and value, and notes the rules that it breaks."""

    def __init__(self) -> None:
        self.errors: dict[str, list[str]] = {}

    def refuse(self, path: str, rule: str) -> None:
        self.errors.setdefault(path, []).append(rule)

    def table(self, path: str, value: object, known: Collection[str], required: Collection[str] = ()) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            self.refuse(path or "document", "Must be a table of fields.")
            return {}
        for name in value:
            if name not in known:
                self.refuse(_under(path, name), f"Is not a field; the fields here are {', '.join(known)}.")
        for name in required:
            if name not in value:
                self.refuse(_under(path, name), "Is missing.")
        return {name: value[name] for name in known if name in value}

    def text(self, path: str, value: object, pattern: str, rule: str) -> str:
        if not isinstance(value, str) or re.fullmatch(pattern, value) is None:
            self.refuse(path, rule)
            return ""
        if re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", value):
            # No database keeps a NUL in a text, and nobody sees the others.
            self.refuse(path, "Must hold no control character.")
            return ""
        return value

    def one_of(self, path: str, value: object, words: Collection[str]) -> None:
        if not isinstance(value, str) or value not in words:
            self.refuse(path, f"Must be one of {', '.join(map(str, words))}.")

    def sums(self, path: str, value: object, *, with_other: bool = False) -> Mapping[str, int]:
        if not isinstance(value, Mapping):
            self.refuse(path, "Must be a table of sums by currency.")
            return {}
        for currency, amount in value.items():
            if currency != OTHER and re.fullmatch("[A-Z]{3}", str(currency)) is None:
                self.refuse(_under(path, currency), "Must be a currency of three capitals (ISO 4217), or other.")
            if type(amount) is not int or not 0 <= amount <= MAX_MINOR:
                self.refuse(_under(path, currency), f"Must be a whole number of minor units from 0 to {MAX_MINOR}.")
        if with_other and OTHER not in value:
            self.refuse(_under(path, OTHER), "Is missing: the sum for every currency that is not named.")
        return MappingProxyType(dict(value))

    # The parts of a document.

    def whole(self, document: object) -> list[Row]:
        fields = self.table("", document, ("name", "categories", "rows"), ("name", "categories", "rows"))
        if "name" in fields:
            self.text("name", fields["name"], r"(?=.*\S).{1,200}", "Must be a line of 1 to 200 characters.")
        categories = self._list("categories", fields.get("categories", []))
        for index, category in enumerate(categories):
            rule = "Must be a word of small letters, digits and underscores, 1 to 64 of them."
            self.text(f"categories.{index}", category, "[a-z][a-z0-9_]{0,63}", rule)
            if category in categories[:index]:
                self.refuse(f"categories.{index}", "Is in the list twice.")
        # A list that cannot be read is told once, not again for each row that names a category.
        known = categories if isinstance(fields.get("categories"), list) else None
        rows = [self.row(f"rows.{n}", row, known) for n, row in enumerate(self._list("rows", fields.get("rows", [])))]
        self.together(rows)
        return rows

    def _list(self, path: str, value: object) -> list[Any]:
        if isinstance(value, list):
            return value
        self.refuse(path, "Must be a list.")
        return []

    def row(self, path: str, value: object, categories: list[Any] | None) -> Row:
        fields = self.table(path, value, ("id", *KEYS, *_PARTS), ("id",))
        rule = "Must be small letters, digits, hyphens and underscores, 1 to 64 of them."
        id_ = self.text(f"{path}.id", fields["id"], "[a-z0-9][a-z0-9_-]{0,63}", rule) if "id" in fields else ""
        for key, words in (("reason", list(Reason)), ("request", list(Request)), ("category", categories)):
            if key in fields and words is not None:
                self.one_of(f"{path}.{key}", fields[key], words)
        if "region" in fields:
            rule = "Must be a country like CN or a part of it like CN-SH."
            self.text(f"{path}.region", fields["region"], "[A-Z]{2}(-[A-Z0-9]{1,3})?", rule)
        settings: dict[str, Any] = {}
        for name, part in _PARTS.items():
            if name in fields:
                settings |= part(self, f"{path}.{name}", fields[name])
        if not fields.keys() & _PARTS.keys():
            self.refuse(path, "Sets nothing.")
        # A key that is no text was refused above, and nothing is compared with it.
        keys = {key: fields[key] for key in KEYS if isinstance(fields.get(key), str)}
        return Row(id_, keys, settings)

    def limits(self, path: str, value: object) -> dict[str, Any]:
        limits = self.table(path, value, list(LimitKind))
        return {f"limits.{kind}": self.limit(f"{path}.{kind}", text) for kind, text in limits.items()}

    def limit(self, path: str, value: object) -> Limit | None:
        if not isinstance(value, str):
            self.refuse(path, 'Must be a text like "48h" or "7 working days".')
            return None
        try:
            return parse(value)
        except ValueError as error:
            self.refuse(path, str(error))
            return None

    def silence(self, path: str, value: object) -> dict[str, Any]:
        fields = self.table(path, value, ("fires", "needs"), ("fires",))
        fires, needs = fields.get("fires"), fields.get("needs")
        if "fires" in fields:
            self.one_of(f"{path}.fires", fires, list(SilenceFires))
        if "needs" in fields:
            self.one_of(f"{path}.needs", needs, list(SilenceNeeds))
            if fires == SilenceFires.REQUEST_MEDIATION:
                self.refuse(f"{path}.needs", "Is only for silence that agrees.")
        return {"silence": Silence(str(fires), needs)}

    def authority(self, path: str, value: object) -> dict[str, Any]:
        # Without a sum for all other currencies, a currency nobody thought of would have no limit at all.
        roles = self.table(path, value, sorted(STAFF))
        return {f"authority.{role}": self.sums(f"{path}.{role}", sums, with_other=True) for role, sums in roles.items()}

    def compensation(self, path: str, value: object) -> dict[str, Any]:
        fields = self.table(path, value, ("share_percent", "floor", "cap"), ("share_percent",))
        share = fields.get("share_percent", 0)
        if type(share) is not int or not 0 <= share <= 100:
            self.refuse(f"{path}.share_percent", "Must be a whole number from 0 to 100.")
        floor = self.sums(f"{path}.floor", fields.get("floor", {}))
        # A cap that some currencies lack is none: a slip of the pen could order any sum in them.
        cap = self.sums(f"{path}.cap", fields.get("cap", {}), with_other="cap" in fields)
        return {"compensation": Compensation(share, floor, cap)}

    def freight_cap(self, path: str, value: object) -> dict[str, Any]:
        return {"freight_cap": self.sums(path, value)}

    def advance(self, path: str, value: object) -> dict[str, Any]:
        platform = self.table(path, value, ("platform",), ("platform",)).get("platform", False)
        if not isinstance(platform, bool):
            self.refuse(f"{path}.platform", "Must be true or false.")
        return {"advance": platform}

    def return_address(self, path: str, value: object) -> dict[str, Any]:
        fields = self.table(path, value, ("name", "line", "phone"), ("name", "line"))
        for name, words in fields.items():
            self.text(f"{path}.{name}", words, r"(?s)(?=.*\S).{1,500}", "Must be a text of 1 to 500 characters.")
        return {"return_address": MappingProxyType(fields)}

    def together(self, rows: list[Row]) -> None:
        """What no row breaks alone: ids are unique, nothing is set twice for the same keys, the base is complete."""
        ids: dict[str, int] = {}
        setters: dict[tuple[object, str], int] = {}
        for index, row in enumerate(rows):
            if row.id and ids.setdefault(row.id, index) != index:
                self.refuse(f"rows.{index}.id", f"Is already the id of rows.{ids[row.id]}.")
            keys = tuple(row.keys.get(key) for key in KEYS)
            for setting in row.settings:
                first = setters.setdefault((keys, setting), index)
                if first != index:
                    self.refuse(f"rows.{index}.{setting}", f"Is already set by rows.{first}, which has the same keys.")
        base = next((index for index, row in enumerate(rows) if not row.keys), None)
        if base is None:
            self.refuse("rows", "One row must have no keys and set everything, so that it holds everywhere.")
            return
        for setting in BASE:
            if setting not in rows[base].settings:
                self.refuse(f"rows.{base}.{setting}", "Is missing: the row without keys must set it.")


def _under(path: str, name: object) -> str:
    return f"{path}.{name}" if path else str(name)


_PARTS = {
    "limits": Reading.limits,
    "silence": Reading.silence,
    "authority": Reading.authority,
    "compensation": Reading.compensation,
    "freight_cap": Reading.freight_cap,
    "advance": Reading.advance,
    "return_address": Reading.return_address,
}
