"""PDF: read by pypdf in strict mode, in a child process under limits of its own.

pypdf is Python throughout and a hostile file can cost it minutes and gigabytes. A thread cannot be stopped and a
process can, so the file is read by `python -m evidence.formats.pdfs` with limits on processor time and memory; the
answer is a line of JSON, and a child that dies without one means that the file was too costly to read.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import IO

from evidence.errors import NotAdmitted
from evidence.formats import FIELD

MAX_PAGES = 2_000
CPU_SECONDS = 10
WALL_SECONDS = 60
"""Longer than the processor time by what a busy machine may keep the child waiting."""
MEMORY_BYTES = 1024 * 1024 * 1024
MAX_XREF_ENTRIES = 200_000
TAIL_BYTES = 1024
"""Where %%EOF must stand, as readers have it (ISO 32000-1, implementation note 18 of Annex H in PDF 1.7)."""


def check_pdf(file: IO[bytes], size: int) -> None:
    """Raise NotAdmitted unless the file is a PDF that can be read to its last page without a password.

    Codes: truncated, not_parsed, encrypted, too_many_pages, too_costly. `size` is the file's, in bytes.
    """
    file.seek(max(0, size - TAIL_BYTES))
    if b"%%EOF" not in file.read():
        raise NotAdmitted(FIELD, "truncated", "the PDF breaks off before its end")
    child = _run_child(file.fileno())
    if child.returncode != 0:
        raise NotAdmitted(FIELD, "too_costly", "the PDF takes too much time or memory to read")
    verdict = json.loads(child.stdout)
    if verdict is not None:
        raise NotAdmitted(FIELD, verdict["code"], verdict["detail"])


def _run_child(descriptor: int) -> "subprocess.CompletedProcess[bytes]":
    """Have the file read from its start. The child shares the descriptor's position, which is put back afterwards:
    Python's buffered file above it counts on finding it where it was.
    """
    position = os.lseek(descriptor, 0, os.SEEK_CUR)
    os.lseek(descriptor, 0, os.SEEK_SET)
    try:
        return subprocess.run(
            [sys.executable, "-m", "evidence.formats.pdfs"],
            # Where this package lies, so that the child finds the same one however it was installed.
            cwd=Path(__file__).parents[2],
            stdin=descriptor,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=WALL_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise NotAdmitted(FIELD, "too_costly", "the PDF takes too long to read") from error
    finally:
        os.lseek(descriptor, position, os.SEEK_SET)


def read_pdf(file: IO[bytes]) -> None:
    """Read a PDF to its last page, in this process and without limits on time. Raises NotAdmitted."""
    from pypdf import PasswordType, PdfReader  # noqa: PLC0415 -- only the child pays for the import

    try:
        reader = PdfReader(file, strict=True, xref_stream_maximum_entries=MAX_XREF_ENTRIES)
        # An empty password opens what only forbids printing or copying, as bank statements do.
        if reader.is_encrypted and reader.decrypt("") is PasswordType.NOT_DECRYPTED:
            raise NotAdmitted(FIELD, "encrypted", "the PDF needs a password")
        pages = len(reader.pages)
        if not 0 < pages <= MAX_PAGES:
            raise NotAdmitted(FIELD, "too_many_pages", f"a PDF has between 1 and {MAX_PAGES} pages")
        for page in reader.pages:
            page.get_contents()
    except (NotAdmitted, MemoryError):
        raise
    # pypdf documents PyPdfError and warns that "broken PDF files might cause other Exceptions" (pypdf.errors).
    except Exception as error:
        raise NotAdmitted(FIELD, "not_parsed", "the PDF cannot be read") from error


def _limit() -> None:
    import resource  # noqa: PLC0415 -- not on every platform that can read the rest of this module

    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _child() -> None:
    _limit()
    verdict = None
    try:
        read_pdf(sys.stdin.buffer)
    except NotAdmitted as refusal:
        verdict = {"code": refusal.code, "detail": refusal.detail}
    sys.stdout.write(json.dumps(verdict))


if __name__ == "__main__":
    _child()
