"""The page opened in a real browser, printed to PDF, with nothing asked of any network."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
from pathlib import Path

import pytest
from PIL import Image
from pypdf import PdfReader

from evidence.dossier.page import render
from evidence.dossier.words import LANGUAGES
from tests.evidence.pages import view

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed (Debian: apt install chromium)")


def has_chinese_font() -> bool:
    lister = shutil.which("fc-list")
    return lister is not None and bool(subprocess.run([lister, ":lang=zh"], capture_output=True, check=True).stdout)


def browse(page: Path, *options: str) -> None:
    """Open a page with a profile of its own; whatever asks for a name is told that there is none."""
    profile = page.parent / "profile"
    subprocess.run(
        [
            str(BROWSER),
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--disable-component-update",
            "--no-first-run",
            "--host-resolver-rules=MAP * ~NOTFOUND",
            f"--user-data-dir={profile}",
            *options,
            page.as_uri(),
        ],
        capture_output=True,
        timeout=120,
        check=True,
    )


def asked_for(page: Path) -> set[str]:
    """The addresses that opening a page asks for, by the browser's own log of its requests."""
    log = page.parent / "net.json"
    browse(page, f"--log-net-log={log}", "--net-log-capture-mode=Everything", f"--screenshot={page.parent / 'x.png'}")
    text = log.read_text(encoding="utf-8")
    events = json.loads(text if text.rstrip().endswith("}") else text.rstrip().rstrip(",") + "]}")["events"]
    addresses = {str(one.get("params", {}).get("url", "")) for one in events}
    return {one for one in addresses if one.startswith(("http:", "https:", "ws:", "ftp:")) and not _own(one)}


def _own(address: str) -> bool:
    """Whether a request is one that the browser makes for itself, whatever page is open."""
    return any(host in address for host in (".google.com/", ".googleapis.com/", ".gvt1.com/", "clients2."))


@pytest.fixture(params=LANGUAGES)
def page(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / f"page.{request.param}.html"
    path.write_text("".join(render(view(), request.param)), encoding="utf-8")
    return path


def test_the_page_prints_to_a_pdf_with_every_word_in_it(page: Path) -> None:
    out = page.parent / "page.pdf"
    browse(page, f"--print-to-pdf={out}", "--no-pdf-header-footer")
    pdf = PdfReader(io.BytesIO(out.read_bytes()))
    text = "".join(sheet.extract_text() for sheet in pdf.pages)
    assert len(pdf.pages) >= 2
    width, height = (float(side) for side in (pdf.pages[0].mediabox.width, pdf.pages[0].mediabox.height))
    assert (round(width), round(height)) in ((595, 842), (594, 841), (595, 841), (594, 842))  # A4
    assert "D-7K4Q-9XM2-ABCD" in text and "129.00 CNY" in text
    if has_chinese_font():
        assert "明天发货" in "".join(text.split())


def test_the_page_can_be_seen(page: Path) -> None:
    out = page.parent / "page.png"
    browse(page, f"--screenshot={out}", "--window-size=1000,2600")
    with Image.open(out) as shot:
        colours = shot.convert("RGB").getcolors(1_000_000)
        assert shot.size == (1000, 2600)
    assert colours is not None and len(colours) > 50
    assert max(count for count, _ in colours) < 0.98 * 1000 * 2600


def test_on_a_narrow_screen_nothing_sticks_out(tmp_path: Path) -> None:
    """The page measures itself, in a copy that is allowed to: its own runs nothing."""
    text = "".join(render(view(), "zh-CN"))
    text = text.replace("default-src 'none';", "default-src 'none'; script-src 'unsafe-inline';")
    measure = "<script>document.title = document.documentElement.scrollWidth + ' ' + innerWidth;</script></body>"
    path = tmp_path / "page.html"
    path.write_text(text.replace("</body>", measure), encoding="utf-8")
    dumped = subprocess.run(
        [str(BROWSER), "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'p'}",
         "--window-size=500,900", "--dump-dom", path.as_uri()],
        capture_output=True, timeout=120, check=True, text=True,
    ).stdout  # fmt: skip
    wide, window = map(int, dumped.partition("<title>")[2].partition("</title>")[0].split())
    assert wide <= window


def test_opening_the_page_asks_for_nothing_but_the_page(page: Path) -> None:
    assert asked_for(page) == set()


def test_a_page_that_asked_for_something_would_be_seen(tmp_path: Path) -> None:
    path = tmp_path / "leaky.html"
    path.write_text('<img src="http://leak.example/x.png">', encoding="utf-8")
    assert "http://leak.example/x.png" in asked_for(path)


def test_the_pages_own_policy_keeps_a_planted_picture_from_loading(tmp_path: Path) -> None:
    text = "".join(render(view(), "en"))
    path = tmp_path / "planted.html"
    path.write_text(text.replace("</body>", '<img src="http://leak.example/x.png"></body>'), encoding="utf-8")
    assert asked_for(path) == set()
