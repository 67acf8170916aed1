"""Whose account the embedded server runs under, and what that account must be let through."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import NamedTuple

import structlog

from mediation.embedded.errors import EmbeddedServerError
from mediation.embedded.wheel import ensure_folder_permissions, ensure_user_exists

log = structlog.get_logger(__name__)

SYSTEM_USER = "pgserver"


class Account(NamedTuple):
    """The system account a server runs under."""

    uid: int
    gid: int


def account_for(data: Path) -> Account:
    """The account that serves this data folder: ours, or as root its owner's, or of new data the user `pgserver`.

    Raises EmbeddedServerError if there is none that could.
    """
    owner = data.stat() if (data / "PG_VERSION").exists() else None
    if os.geteuid() != 0:
        if owner is not None and owner.st_uid != os.geteuid():
            raise EmbeddedServerError(
                f"The data in {data} belong to another user (uid {owner.st_uid}), who alone can serve them."
                " Run as that user, or name another folder with --home or MEDIATION_HOME."
            )
        return Account(os.geteuid(), os.getegid())
    if owner is None:
        return _system_account()
    if owner.st_uid == 0:
        raise EmbeddedServerError(
            f"PostgreSQL does not run as root, and the data in {data} belong to root."
            f" Give them to its user: chown -R {SYSTEM_USER} {data}"
        )
    return Account(owner.st_uid, owner.st_gid)


def _system_account() -> Account:
    try:
        entry = ensure_user_exists(SYSTEM_USER)
    except (OSError, subprocess.CalledProcessError) as error:
        raise EmbeddedServerError(
            f"PostgreSQL does not run as root, and the system user {SYSTEM_USER} could not be made: {error}."
            f" Make it (useradd {SYSTEM_USER}), run as an ordinary user, or set DATABASE_URL."
        ) from error
    assert entry is not None
    return Account(entry.pw_uid, entry.pw_gid)


def open_the_way(account: Account, data: Path, programs: Path) -> None:
    """As root: let the account pass through the folders above the data and the programs, and run the programs.

    Passing (x) is all it needs of a folder; none is opened to be listed. Each change is said in the log.
    """
    if os.geteuid() != 0:
        return
    for folder in (*data.parents, *programs.parents):
        found = folder.stat()
        if found.st_uid != account.uid and not found.st_mode & 0o001:
            log.warning("folder_opened_for_passing", folder=str(folder), uid=account.uid)
            folder.chmod(found.st_mode | 0o001)
    if (programs / "postgres").stat().st_mode & 0o005 != 0o005:
        log.warning("programs_opened_for_reading", folder=str(programs.parent), uid=account.uid)
        ensure_folder_permissions(programs.parent, 0o044)
        ensure_folder_permissions(programs, 0o055)
