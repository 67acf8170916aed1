import io
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pypdf import PdfWriter

from evidence.admission import Admitted
from evidence.errors import NotAdmitted
from evidence.formats import pdfs

Filing = Callable[[bytes, str], Admitted]
Refusing = Callable[[bytes, str], NotAdmitted]

ROOT = Path(__file__).parents[2]


def pdf(pages: int = 2, user_password: str | None = None) -> bytes:
    writer = PdfWriter()
    for _ in range(pages):
        writer.add_blank_page(200, 100)
    if user_password is not None:
        writer.encrypt(user_password, owner_password="owner", algorithm="AES-256")
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def in_process(data: bytes) -> str | None:
    """Read a PDF without the child process, which takes a fifth of a second; answer the code of the refusal."""
    try:
        pdfs.read_pdf(io.BytesIO(data))
    except NotAdmitted as refusal:
        return refusal.code
    return None


def test_a_whole_pdf_is_admitted_and_its_file_is_left_readable(filed: Filing) -> None:
    data = pdf()
    one = filed(data, "a.pdf")
    assert one.media_type == "application/pdf"
    assert one.file.read() == data


def test_a_pdf_that_only_forbids_printing_is_admitted(filed: Filing) -> None:
    assert filed(pdf(user_password=""), "a.pdf").media_type == "application/pdf"


def test_a_pdf_that_needs_a_password_is_refused(refused: Refusing) -> None:
    assert refused(pdf(user_password="secret"), "a.pdf").code == "encrypted"


def test_a_pdf_without_its_end_is_refused(refused: Refusing) -> None:
    data = pdf()
    for cut in (len(data) // 2, data.rindex(b"%%EOF") + 4):
        assert refused(data[:cut], "a.pdf").code == "truncated"


def test_an_end_beyond_the_last_kilobyte_is_no_end(refused: Refusing) -> None:
    assert refused(pdf() + b" " * 1024, "a.pdf").code == "truncated"


def test_a_pdf_cut_in_the_middle_with_a_new_end_is_refused(refused: Refusing) -> None:
    data = pdf()
    assert refused(data[: len(data) // 2] + b"\n%%EOF\n", "a.pdf").code == "not_parsed"


@pytest.mark.parametrize(
    "data",
    [
        b"%PDF-1.7\n%%EOF",
        b"%PDF-1.7\nstartxref\n0\n%%EOF",
        b"%PDF-1.7\ntrailer<</Root " + b"[" * 5_000 + b"\nstartxref\n9\n%%EOF",
        b"%PDF-1.7\nxref\n0 99999999\nstartxref\n9\n%%EOF",
    ],
)
def test_a_pdf_of_nothing_or_nonsense_is_refused(data: bytes) -> None:
    assert in_process(data) == "not_parsed"


def test_the_pages_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdfs, "MAX_PAGES", 2)
    assert in_process(pdf(2)) is None
    assert in_process(pdf(3)) == "too_many_pages"


def test_a_pdf_without_pages_is_refused() -> None:
    assert in_process(pdf(0)) == "too_many_pages"


def test_a_child_that_dies_means_too_costly(refused: Refusing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    assert refused(pdf(), "a.pdf").code == "too_costly"


def test_a_child_that_hangs_is_ended_and_means_too_costly(refused: Refusing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdfs, "WALL_SECONDS", 0.01)
    assert refused(pdf(), "a.pdf").code == "too_costly"


def limited(program: str) -> int:
    """Run a program under the child's limits, with a second of processor time; answer its exit code."""
    setup = "from evidence.formats import pdfs\npdfs.CPU_SECONDS = 1\npdfs._limit()\n"
    command = [sys.executable, "-c", setup + program]
    return subprocess.run(command, cwd=ROOT, stderr=subprocess.DEVNULL, check=False, timeout=60).returncode


def test_the_childs_processor_time_is_limited() -> None:
    assert limited("while True: pass") in (-signal.SIGXCPU, -signal.SIGKILL)


def test_the_childs_memory_is_limited() -> None:
    assert limited("bytearray(2 * 1024 ** 3)") == 1


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_a_damaged_pdf_is_read_or_refused_and_never_fails_otherwise(data: st.DataObject) -> None:
    damaged = bytearray(pdf())
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    assert in_process(bytes(damaged)) in (None, "not_parsed", "encrypted", "too_many_pages")
