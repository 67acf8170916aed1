"""The page opened in a real browser: seen, printed to PDF, read on a telephone, with nothing asked of any network."""

from __future__ import annotations

import html
import io
import json
import re
import shutil
import subprocess
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from pypdf import PdfReader

from evidence.dossier.page import render
from evidence.dossier.words import LANGUAGES
from tests.evidence.pages import HEAD, MESSAGES, REFERENCE, message, view

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed (Debian: apt install chromium)")
LEAK = "http://leak.example/x.png"
#: As Chromium's log names who asked for an address where it was the browser itself and no page.
ITSELF = "not an origin"
TELEPHONE = 360


def has_chinese_font() -> bool:
    lister = shutil.which("fc-list")
    return lister is not None and bool(subprocess.run([lister, ":lang=zh"], capture_output=True, check=True).stdout)


def version() -> int:
    """Which Chromium it is; 0 where there is none."""
    if BROWSER is None:
        return 0
    told = subprocess.run([BROWSER, "--version"], capture_output=True, check=True).stdout.decode()
    found = re.search(r"(\d+)\.\d+", told)
    return int(found[1]) if found else 0


def browse(page: Path, *options: str) -> str:
    """Open a page with a profile of its own, and answer what it prints; every name is told not to exist."""
    command = [
        str(BROWSER),
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-background-networking",
        "--disable-component-update",
        "--no-first-run",
        "--hide-scrollbars",
        "--host-resolver-rules=MAP * ~NOTFOUND",
        f"--user-data-dir={page.parent / 'profile'}",
        *options,
        page.as_uri(),
    ]
    return subprocess.run(command, capture_output=True, timeout=120, check=True).stdout.decode()


def asked_for(page: Path) -> set[str]:
    """The addresses beyond its own file that opening a page asked for, by the browser's own log."""
    log = page.parent / "net.json"
    browse(page, f"--log-net-log={log}", "--net-log-capture-mode=Everything", f"--screenshot={page.parent / 'x.png'}")
    text = log.read_text(encoding="utf-8").rstrip()
    # The log of a browser that was quick to leave lacks its end.
    logged = json.loads(text if text.endswith("}") else text.rstrip(",") + "]}")
    begun = logged["constants"]["logEventTypes"]["URL_REQUEST_START_JOB"]
    jobs = [one["params"] for one in logged["events"] if one["type"] == begun and "url" in one.get("params", {})]
    return {job["url"] for job in jobs if job["initiator"] != ITSELF} - {page.as_uri()}


def written(folder: Path, language: str, **changes: Any) -> Path:
    path = folder / f"page.{language}.html"
    path.write_text("".join(render(view(**changes), language)), encoding="utf-8")
    return path


@pytest.fixture(scope="module", params=LANGUAGES)
def page(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("page"), request.param)


def plain(text: str) -> str:
    """What a PDF says, without spaces and with the characters that fonts make of others made whole again."""
    return "".join(unicodedata.normalize("NFKC", text).split())


def fonts(pdf: PdfReader) -> Iterator[tuple[str, bool]]:
    """The fonts of a PDF, each with whether it brings its glyphs along."""
    for sheet in pdf.pages:
        for reference in sheet["/Resources"].get("/Font", {}).values():
            font = reference.get_object()
            if font["/Subtype"] == "/Type3":
                yield "Type 3", "/CharProcs" in font
                continue
            inner = font["/DescendantFonts"][0].get_object() if "/DescendantFonts" in font else font
            descriptor = inner["/FontDescriptor"].get_object()
            yield str(inner["/BaseFont"]), bool({"/FontFile", "/FontFile2", "/FontFile3"} & set(descriptor))


def printed(page: Path) -> PdfReader:
    out = page.parent / "page.pdf"
    browse(page, f"--print-to-pdf={out}", "--no-pdf-header-footer")
    return PdfReader(io.BytesIO(out.read_bytes()))


def sheets_of(pdf: PdfReader) -> list[str]:
    return [plain(sheet.extract_text()) for sheet in pdf.pages]


@pytest.fixture(scope="module")
def pdf(page: Path) -> PdfReader:
    return printed(page)


def test_the_page_prints_on_a4_with_its_words_and_its_fonts(pdf: PdfReader) -> None:
    whole = "".join(sheets_of(pdf))
    assert len(pdf.pages) >= 3
    for sheet in pdf.pages:
        assert abs(float(sheet.mediabox.width) - 595.3) < 1.5 and abs(float(sheet.mediabox.height) - 841.9) < 1.5
    assert REFERENCE in whole and "134.00CNY" in whole and HEAD[:32] in whole
    embedded = dict(fonts(pdf))
    assert embedded and all(embedded.values()), embedded
    if has_chinese_font():
        for line in ("明天一定发,不好意思哈,", "应全额退款。", "tb晴天小雨"):
            assert line in whole, line


@pytest.mark.skipif(version() < 131, reason="running headers take Chromium 131")
def test_every_printed_sheet_bears_the_reference_and_its_number(pdf: PdfReader) -> None:
    sheets = sheets_of(pdf)
    for n, sheet in enumerate(sheets, 1):
        assert REFERENCE in sheet and f"{n}/{len(sheets)}" in sheet


def test_no_bubble_is_cut_between_two_sheets(tmp_path: Path) -> None:
    between = "\nand on" * 4
    lines = [message(n, "buyer", f"BEGUN{between}\nENDED", MESSAGES[1]["leaf"]["sent_at"], "x") for n in range(1, 81)]
    sheets = sheets_of(printed(written(tmp_path, "en", messages=lines, decisions=[])))
    counts = [(sheet.count("BEGUN"), sheet.count("ENDED")) for sheet in sheets]
    assert sum(begun for begun, _ in counts) == 80
    assert len([begun for begun, _ in counts if begun]) > 3
    assert all(begun == ended for begun, ended in counts)


def test_the_page_can_be_seen(page: Path) -> None:
    out = page.parent / "page.png"
    browse(page, f"--screenshot={out}", "--window-size=1000,2600")
    with Image.open(out) as shot:
        assert shot.size == (1000, 2600)
        colours = shot.convert("RGB").getcolors(1_000_000)
    assert colours is not None and len(colours) > 50
    assert max(count for count, _ in colours) < 0.95 * 1000 * 2600


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    "words",
    ["", "x" * 3_000, "\u200b" * 500 + "𝔘" * 500, "\u202e" + "字" * 800],
    ids=["as it is", "long", "thin", "wide"],
)
def test_on_a_telephone_nothing_sticks_out(tmp_path: Path, language: str, words: str) -> None:
    """The page measures itself in a frame as wide as a telephone, in a copy that may: its own runs nothing."""
    changes = {"messages": [*MESSAGES, message(11, "seller", words, None, words)]} if words else {}
    text = written(tmp_path, language, **changes).read_text(encoding="utf-8")
    text = text.replace("default-src 'none';", "default-src 'none'; script-src 'unsafe-inline';")
    measure = "<script>parent.postMessage([document.documentElement.scrollWidth, innerWidth], '*')</script></body>"
    frame = tmp_path / "frame.html"
    framed = html.escape(text.replace("</body>", measure), quote=True)
    frame.write_text(
        "<!doctype html><meta charset=utf-8><title></title>"
        "<script>onmessage = told => { document.title = told.data.join(' '); }</script>"
        f'<iframe style="width:{TELEPHONE}px;height:900px;border:0" srcdoc="{framed}"></iframe>',
        encoding="utf-8",
    )
    dumped = browse(frame, "--dump-dom", "--virtual-time-budget=5000")
    wide, window = map(int, dumped.partition("<title>")[2].partition("</title>")[0].split())
    assert window == TELEPHONE
    assert wide <= window


def test_opening_the_page_asks_for_nothing_but_the_page(page: Path) -> None:
    assert asked_for(page) == set()


def test_a_page_that_asked_for_something_would_be_seen(tmp_path: Path) -> None:
    path = tmp_path / "leaky.html"
    path.write_text(f'<img src="{LEAK}">', encoding="utf-8")
    assert asked_for(path) == {LEAK}


def test_the_pages_own_policy_keeps_a_planted_picture_from_loading(tmp_path: Path) -> None:
    text = written(tmp_path, "en").read_text(encoding="utf-8")
    path = tmp_path / "planted.html"
    path.write_text(text.replace("</body>", f'<img src="{LEAK}"></body>'), encoding="utf-8")
    assert asked_for(path) == set()
