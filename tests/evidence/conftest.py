"""What the tests of several formats share: trying to file some bytes."""

import io
from collections.abc import Callable, Iterator
from typing import cast

import pytest
from hypothesis import settings

from evidence.admission import Admitted, admit
from evidence.errors import NotAdmitted

# No deadline for one example: a busy machine is no bug. No database of examples: a test run leaves nothing behind.
settings.register_profile("evidence", deadline=None, database=None)
settings.load_profile("evidence")

Filing = Callable[[bytes, str], Admitted]
Refusing = Callable[[bytes, str], NotAdmitted]


@pytest.fixture
def filed() -> Iterator[Filing]:
    """File bytes under a name that should be admitted; closed after the test."""
    opened: list[Admitted] = []

    def file(data: bytes, filename: str) -> Admitted:
        opened.append(admit(io.BytesIO(data), filename=filename))
        return opened[-1]

    yield file
    for one in opened:
        one.close()


@pytest.fixture(scope="session")
def refused() -> Refusing:
    """File bytes under a name that should be refused; answers the refusal."""

    def file(data: bytes, filename: str) -> NotAdmitted:
        with pytest.raises(NotAdmitted) as caught:
            admit(io.BytesIO(data), filename=filename).close()
        return cast(NotAdmitted, caught.value)

    return file
