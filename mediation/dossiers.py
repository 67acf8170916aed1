"""Making a sealed case file: everything one reader may see of a case, in one snapshot, signed.

That it was made is entered in the custody chain of every exhibit in it first, in a transaction of its own: nothing
leaves the house that is not on record. Then the case is read as it stands, without a lock and without keeping anybody
from acting on it.
"""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Iterator
from functools import partial
from typing import IO

from sqlalchemy import text
from sqlalchemy.orm import Session

from evidence.chain import instant
from evidence.custody import CustodyAct
from evidence.dossier import page
from evidence.dossier.words import LANGUAGES
from evidence.dossier.writing import Contents, write
from evidence.errors import BlobMissing
from evidence.sealing import SealingKey
from mediation import casefile, docket
from mediation.errors import Busy
from mediation.models import Case
from mediation.operations import custody
from mediation.sealing import published
from mediation.services import Services
from workflows.acts import Actor

_TRIES = 3


def make(house: Services, case_id: uuid.UUID, reader: Actor, *, by: Actor | None = None) -> IO[bytes]:
    """Make the sealed case file for `reader` and return it, open at its start and unnamed on disk.

    `by` is who asked for it, where that is not the reader. Raises NotFound where the case is not the reader's, Busy
    where evidence was erased again and again while it was being read.
    """
    recorded: set[uuid.UUID] = set()
    for _ in range(_TRIES):
        _enter(house, case_id, reader, by or reader, recorded)
        # One key from beginning to end, published before the snapshot that holds the published ones.
        signer = house.sealer.current()
        file = tempfile.TemporaryFile()  # noqa: SIM115 -- it outlives this function in what is returned
        try:
            with house.sessions.begin() as session:
                session.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))
                case = docket.find(session, case_id, reader)
                if {one.id for one in casefile.exhibits_for(session, case, reader)} <= recorded:
                    _write(house, session, case, reader, file, signer=signer)
                    file.seek(0)
                    return file
            # Something was filed since: it has to be entered before it leaves.
            file.close()
        except BlobMissing:
            # A redaction took the bytes away after the snapshot was taken; the next one knows of it.
            file.close()
        except BaseException:
            file.close()
            raise
    raise Busy()


def _enter(house: Services, case_id: uuid.UUID, reader: Actor, by: Actor, recorded: set[uuid.UUID]) -> None:
    """Enter the export of each exhibit that is to be in it and was not entered yet."""
    with house.sessions.begin() as session:
        case = docket.find(session, case_id, reader)
        shown = [one for one in casefile.exhibits_for(session, case, reader) if one.id not in recorded]
        custody.record_all(session, shown, by, house.clock(), CustodyAct.exported, made_for=reader.role.value)
    recorded |= {one.id for one in shown}


def filename(case: Case) -> str:
    """What the file is called where it is saved."""
    return f"{case.reference}.dossier.zip"


def _write(
    house: Services, session: Session, case: Case, reader: Actor, file: IO[bytes], *, signer: SealingKey
) -> None:
    exhibits = casefile.exhibits_for(session, case, reader)
    by_label = {one.label: one for one in exhibits}
    heads = custody.heads(session, case.id)

    def content(label: str) -> Iterator[bytes]:
        key = by_label[label].blob_key
        if key is None:
            raise BlobMissing("it was redacted")
        return house.blobs.get(key)

    view = page.View(
        case=casefile.case_member(session, case, reader),
        docket=casefile.docket_lines(session, case, reader),
        decisions=casefile.decisions(session, case, reader),
        exhibits=[casefile.exhibit_member(one, heads.get(one.id), reader) for one in exhibits],
        messages=lambda label: casefile.message_lines(session, by_label[label]),
        custody=lambda label: casefile.custody_lines(session, by_label[label], reader),
        head={"seq": case.version, "hash": case.head.hex()},
        made_at=instant(house.clock()),
        made_for=reader.role.value,
        thumbprint=signer.kid,
    )
    contents = Contents(
        case=view.case,
        docket=view.docket,
        seals=casefile.seals(session, case),
        decisions=view.decisions,
        exhibits=view.exhibits,
        messages=view.messages,
        custody=view.custody,
        content=content,
        pages={f"page.{language}.html": partial(page.render, view, language) for language in LANGUAGES},
        keys={"keys": published(session)},
        head=view.head,
        made_at=view.made_at,
        made_for=view.made_for,
    )
    write(file, contents, sign=signer.sign)
