"""Everything this package refuses.

The docstring of each class is the template of its message. `field` names the place in the input (dots between levels,
list positions from 0, as in `messages.3.sent_at`), `code` is for programs, `detail` for people. No message repeats
what the input said: errors end up in logs, and logs must not hold personal text.
"""

import re
from typing import Literal

StatusHint = Literal["too_large", "unsupported_type", "refused"]

_WORD_START = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


class EvidenceError(Exception):
    """The evidence cannot be used: {detail}"""

    def __init__(self, detail: str, *, field: str | None = None, code: str | None = None) -> None:
        self.field = field
        self.code = code or _WORD_START.sub("_", type(self).__name__).lower()
        self.detail = detail
        # Python started with -OO has no docstrings; the detail alone must then do.
        super().__init__((self.__doc__ or "{detail}").format(field=field, code=self.code, detail=detail))


class NotCanonical(EvidenceError, ValueError):
    """The value has no RFC 8785 form: {detail}"""


class NotAdmitted(EvidenceError):
    """Not admitted ({code} in {field}): {detail}"""

    def __init__(self, field: str, code: str, detail: str, status_hint: StatusHint = "refused") -> None:
        self.status_hint: StatusHint = status_hint
        super().__init__(detail, field=field, code=code)


class QuoteDoesNotStand(EvidenceError):
    """The quote does not stand in the message: {detail}"""

    def __init__(self, detail: str, *, real_text: str, field: str | None = None, code: str | None = None) -> None:
        # The message's text is an attribute and never part of the error's own words, for the sake of the logs.
        self.real_text = real_text
        super().__init__(detail, field=field, code=code)


class NotALabel(EvidenceError, ValueError):
    """Not an exhibit label: {detail}"""


class BadSeal(EvidenceError):
    """The seal does not hold: {detail}"""


class BadSealingKey(EvidenceError, ValueError):
    """Not a sealing key: {detail}"""


class BadStoreUrl(EvidenceError, ValueError):
    """The blob store cannot be opened: {detail}"""


class BadBlobKey(EvidenceError, ValueError):
    """Not a key of a blob: {detail}"""


class BlobExists(EvidenceError):
    """The key is taken by other bytes: {detail}"""


class BlobNotDeleted(EvidenceError):
    """The bytes could not be deleted: {detail}"""


class BlobMissing(EvidenceError):
    """The blob is not in the store: {detail}"""
