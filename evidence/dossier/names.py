"""The names of a dossier's members, and of what they hold."""

import re
from typing import Final

CASE: Final = "case.json"
DOCKET: Final = "docket.jsonl"
SEALS: Final = "seals.json"
DECISIONS: Final = "decisions.json"
EXHIBITS: Final = "exhibits.json"
PAGES: Final = ("page.en.html", "page.zh-CN.html")
# These come last in the order of names, when all that they speak of is written and measured.
KEYS: Final = "verify/keys.json"
MANIFEST: Final = "verify/manifest.json"
SIGNATURE: Final = "verify/manifest.jws"

ALWAYS: Final = frozenset({MANIFEST, SIGNATURE, KEYS, CASE, DOCKET, SEALS, DECISIONS, EXHIBITS, *PAGES})
UNLISTED: Final = frozenset({MANIFEST, SIGNATURE})
"""What the manifest does not name: itself and the signature over it."""

_OF_AN_EXHIBIT = re.compile(r"exhibits/[BSMP]-[1-9][0-9]{0,5}/(?:messages\.jsonl|custody\.jsonl|content)", re.ASCII)
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_.]{0,39}", re.ASCII)
_SHOWN = 200


def messages_of(label: str) -> str:
    """Return the name of the member that holds the messages of an exhibit."""
    return f"exhibits/{label}/messages.jsonl"


def custody_of(label: str) -> str:
    """Return the name of the member that holds the custody chain of an exhibit."""
    return f"exhibits/{label}/custody.jsonl"


def content_of(label: str) -> str:
    """Return the name of the member that holds the bytes of an exhibit."""
    return f"exhibits/{label}/content"


def belongs(name: str) -> bool:
    """Tell whether a dossier can have a member of this name."""
    return name in ALWAYS or _OF_AN_EXHIBIT.fullmatch(name) is not None


def shown(name: bytes) -> str:
    """Write a name, which may be anything, so that a terminal shows it and does not obey it."""
    text = name[:_SHOWN].decode("ascii", "backslashreplace")
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text) or "(no name)"


def plain(name: object) -> str | None:
    """Return a name from within a member if it looks like a field of ours, else None: it may be someone's words."""
    return name if isinstance(name, str) and _PLAIN.fullmatch(name) else None
