import hashlib
import io
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from evidence.errors import BadBlobKey, BadStoreUrl, BlobExists, BlobMissing
from evidence.store import BlobStore, blob_key, open_store

KEY = "case/exhibit/" + "ab" * 32


@pytest.fixture(params=["memory", "file"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> BlobStore:
    return open_store("memory:///" if request.param == "memory" else f"file://{tmp_path}/blobs")


@pytest.fixture
def local(tmp_path: Path) -> BlobStore:
    return open_store(f"file://{tmp_path}/blobs")


def read(store: BlobStore, key: str = KEY) -> bytes:
    return b"".join(store.get(key))


def test_what_is_put_is_read_back(store: BlobStore) -> None:
    store.put(KEY, io.BytesIO(b"evidence"))
    assert read(store) == b"evidence"


def test_a_large_blob_goes_in_and_out_in_chunks(store: BlobStore, tmp_path: Path) -> None:
    data = os.urandom(9_000_001)
    (tmp_path / "upload").write_bytes(data)
    with (tmp_path / "upload").open("rb") as upload:
        store.put(KEY, upload)
    assert read(store) == data
    if store._folder:
        assert max(len(chunk) for chunk in store.get(KEY)) < 1024 * 1024


def test_a_file_is_put_from_its_start_wherever_it_was_read_to(store: BlobStore) -> None:
    file = io.BytesIO(b"evidence")
    file.read()
    store.put(KEY, file)
    assert read(store) == b"evidence"


def test_the_same_bytes_again_are_fine(store: BlobStore) -> None:
    store.put(KEY, io.BytesIO(b"evidence"))
    store.put(KEY, io.BytesIO(b"evidence"))
    assert read(store) == b"evidence"


@pytest.mark.parametrize("other", [b"evidencE", b"evidence more", b"evid", b""])
def test_other_bytes_under_a_key_are_refused_and_change_nothing(store: BlobStore, other: bytes) -> None:
    store.put(KEY, io.BytesIO(b"evidence"))
    with pytest.raises(BlobExists):
        store.put(KEY, io.BytesIO(other))
    assert read(store) == b"evidence"


def test_a_missing_blob_is_reported_before_the_first_chunk(store: BlobStore) -> None:
    with pytest.raises(BlobMissing):
        store.get(KEY)


def test_a_deleted_blob_is_gone_and_deleting_again_is_fine(store: BlobStore) -> None:
    store.put(KEY, io.BytesIO(b"evidence"))
    store.delete(KEY)
    with pytest.raises(BlobMissing):
        store.get(KEY)
    store.delete(KEY)


def test_of_many_writers_at_once_one_wins_and_the_blob_is_whole(local: BlobStore) -> None:
    blobs = [bytes([number]) * 300_000 for number in range(8)]

    def put(blob: bytes) -> bool:
        try:
            local.put(KEY, io.BytesIO(blob))
        except BlobExists:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(put, blobs))
    assert won.count(True) == 1
    assert read(local) == blobs[won.index(True)]


def test_a_process_killed_while_writing_leaves_nothing_under_the_key(tmp_path: Path, local: BlobStore) -> None:
    # The kernel kills the writer at the first byte beyond its file size limit, which is in the middle of the blob.
    writer = (
        "import io, resource, signal, sys\n"
        "from evidence.store import open_store\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_DFL)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))\n"
        "open_store(sys.argv[1]).put(sys.argv[2], io.BytesIO(b'x' * 3_000_000))\n"
    )
    command = [sys.executable, "-c", writer, f"file://{tmp_path}/blobs", KEY]
    killed = subprocess.run(command, cwd=Path(__file__).parents[2], check=False)
    assert killed.returncode == -signal.SIGXFSZ
    staged = [path for path in (tmp_path / "blobs").rglob("*") if path.is_file()]
    assert [path.stat().st_size for path in staged] == [1_000_000]
    with pytest.raises(BlobMissing):
        local.get(KEY)
    local.put(KEY, io.BytesIO(b"x" * 3_000_000))
    assert read(local) == b"x" * 3_000_000
    local.delete(KEY)
    assert not any(path.is_file() for path in (tmp_path / "blobs").rglob("*"))


def test_a_local_blob_its_name_and_its_folders_are_on_the_disk_before_put_returns(
    tmp_path: Path, local: BlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    true_sync = os.fsync

    def sync(descriptor: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{descriptor}").readlink().relative_to(tmp_path / "blobs")))
        true_sync(descriptor)

    monkeypatch.setattr(os, "fsync", sync)
    local.put(KEY, io.BytesIO(b"evidence"))
    assert synced == [KEY, "case/exhibit", "case", "."]


def test_a_key_is_case_exhibit_and_digest() -> None:
    digest = hashlib.sha256(b"evidence").hexdigest()
    case, exhibit = "0195d0a6-7f3e-7c11-8a55-0f3f5b6f0a01", "0195d0a6-7f3e-7c11-8a55-0f3f5b6f0a02"
    assert blob_key(case, exhibit, digest) == f"{case}/{exhibit}/{digest}"


@pytest.mark.parametrize(
    ("case", "exhibit", "sha256"),
    [
        ("", "e", "ab" * 32),
        ("..", "e", "ab" * 32),
        ("c", "../e", "ab" * 32),
        ("c/d", "e", "ab" * 32),
        ("c", "e\n", "ab" * 32),
        ("c", "e", "AB" * 32),
        ("c", "e", "ab"),
    ],
)
def test_a_key_of_anything_else_is_refused(case: str, exhibit: str, sha256: str) -> None:
    with pytest.raises(BadBlobKey):
        blob_key(case, exhibit, sha256)


def test_a_folder_is_made_even_with_a_space_in_its_name(tmp_path: Path) -> None:
    open_store(f"file://{tmp_path}/a%20new/folder").put("k", io.BytesIO(b"x"))
    assert (tmp_path / "a new" / "folder" / "k").read_bytes() == b"x"


@pytest.mark.parametrize("url", ["s3://bucket/prefix", "gs://bucket/prefix"])
def test_buckets_open_by_url(url: str) -> None:
    assert isinstance(open_store(url), BlobStore)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "nonsense",
        "ftp://host/x",
        "http://host/x",
        "file://host/x",
        "file://",
        "/var/blobs",
        "s3://",
        "file:///proc/x/y",
    ],
)
def test_a_url_that_opens_no_store_is_refused(url: str) -> None:
    with pytest.raises(BadStoreUrl):
        open_store(url)
