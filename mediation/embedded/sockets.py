"""Where the embedded server's socket lies; it listens on nothing else."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from contextlib import suppress
from pathlib import Path

from mediation.embedded.accounts import Account
from mediation.embedded.errors import EmbeddedServerError

PORT = 5432  # Only a part of the socket file's name: no TCP port is opened.
SOCKET_FILE = f".s.PGSQL.{PORT}"
PATH_LIMIT = 100  # An address holds 108 bytes on Linux, 104 on macOS and the BSDs.


def socket_folder(data: Path) -> Path:
    """The data folder itself, or a short one if its path is too long or has a character with a meaning to libpq."""
    fits = len(os.fsencode(data / SOCKET_FILE)) <= PATH_LIMIT
    if fits and re.fullmatch(r"[\w./ +=~-]+", str(data)):
        return data
    base = Path(tempfile.gettempdir())
    if len(os.fsencode(base)) > PATH_LIMIT // 2:
        base = Path("/tmp")  # noqa: S108 - `make_socket_folder` accepts only a private folder in it
    return base / f"mediation-{hashlib.sha256(os.fsencode(data)).hexdigest()[:16]}"


def make_socket_folder(data: Path, account: Account) -> Path:
    """The socket's folder, made if need be, private to the server's account.

    Raises EmbeddedServerError when it is not private: its name can be foreseen, and whoever owns it could stand in
    for the server.
    """
    folder = socket_folder(data)
    if folder == data:
        return folder
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
        os.chown(folder, account.uid, account.gid)
    found = folder.lstat()
    if folder.is_symlink() or not folder.is_dir() or found.st_uid != account.uid or found.st_mode & 0o077:
        raise EmbeddedServerError(
            f"The folder for the server's socket, {folder}, is not private to uid {account.uid}."
            " Remove it, or choose a shorter --home so that it is not needed."
        )
    return folder
