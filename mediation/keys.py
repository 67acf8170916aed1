"""Private keys on disk: made once, replaced whole, readable by their owner only."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

#: What tells one content of a file from another without reading it; None where there is no file.
State = tuple[int, ...] | None
#: No private key is as long; what is longer is not read to its end.
_MAX_PEM = 64 * 1024


def read_or_make(path: Path, make: Callable[[], bytes]) -> bytes:
    """The key at `path`; made there by `make` if there is none.

    Two processes that start together end with the same key: the file appears under its name complete, and only once.
    Raises OSError if the folder cannot be written.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
    try:
        _write(draft, make())
        # Where another process made it first, theirs is the one that counts.
        with suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink(missing_ok=True)
    return path.read_bytes()


def state(path: Path) -> State:
    """The state of the file: it differs once the file was replaced or written to. None if it cannot be looked at."""
    try:
        return _state(path.stat())
    except OSError:
        return None


def read(path: Path) -> tuple[State, bytes]:
    """The key at `path`, and the state of the file before it was read. Raises OSError."""
    with path.open("rb") as file:
        return _state(os.fstat(file.fileno())), file.read(_MAX_PEM)


def draft_beside(path: Path, pem: bytes) -> Path:
    """Write a key that is to take the place of the one at `path` beside it, with the same owner and mode.

    What an earlier replacement left there when it was broken off is thrown away: nothing was ever signed with it.
    Raises OSError.
    """
    # Not the link, where it is one: the key that it leads to is the one to be gone.
    there = path.resolve(strict=True)
    draft = there.with_name(f".{there.name}.next")
    draft.unlink(missing_ok=True)
    try:
        _write(draft, pem, like=there.stat())
    except OSError:
        draft.unlink(missing_ok=True)
        raise
    return draft


def put_in_place(draft: Path, path: Path) -> None:
    """Let the draft take the place of the key at `path`: whoever reads finds one or the other. The old key is gone."""
    there = path.resolve(strict=True)
    draft.replace(there)
    folder = os.open(there.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _write(path: Path, pem: bytes, like: os.stat_result | None = None) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        if like is not None:
            # Who replaces a key need not be the one who runs the service, and it must be able to read it.
            os.fchown(descriptor, like.st_uid, like.st_gid)
            os.fchmod(descriptor, like.st_mode & 0o777)
        file.write(pem)
        file.flush()
        os.fsync(descriptor)


def _state(found: os.stat_result) -> State:
    # The time of change too: it moves with a new owner or mode, which may make readable what was not.
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
