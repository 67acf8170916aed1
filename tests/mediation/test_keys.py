"""The sealing key: replaced while everything runs, whole or not at all, and whatever was ever signed still verifies."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner, Result
from sqlalchemy import func, select
from structlog.testing import capture_logs

from evidence import sealing as seals
from evidence.sealing import SealingKey, verify
from mediation import create_app, sealing
from mediation.cli import main
from mediation.models import Seal
from mediation.models import SealingKey as Row
from mediation.sealing import Sealer
from mediation.services import Services, build, check, real_time
from mediation.settings import BadSetting, Settings, load
from tests.mediation.conftest import make_services
from tests.mediation.story import CHAT, Story, decision
from tests.mediation.test_idempotency import PNG
from tests.mediation.worker_process import ROOT, environment

Put = Callable[[Path, bytes], None]


def keys(settings: Settings, *args: str, **env: str) -> Result:
    """`mediation keys …` for the installation of these settings."""
    given = {"DATABASE_URL": str(settings.database_url), "MEDIATION_HOME": str(settings.home), **env}
    return CliRunner().invoke(main, ["keys", *args], env=given)


def rotated(settings: Settings) -> str:
    """Rotate, which must succeed; the thumbprint of the new key."""
    result = keys(settings, "rotate")
    assert result.exit_code == 0, result.output
    return str(result.output.split()[0])


def receipt(story: Story, case: str | None = None) -> str:
    """The receipt of a new filing, which must verify with what is published at that moment."""
    response = story.post("buyer", f"/cases/{case or story.open()}/exhibits", CHAT)
    assert response.status_code == 201, response.get_data(as_text=True)
    signed = str(response.get_json()["receipt"])
    verify(signed, published(story))
    return signed


def published(story: Story) -> dict[str, Any]:
    answer: dict[str, Any] = story.get("buyer", "/keys").get_json()
    return answer


def signer(jws: str) -> str:
    from joserfc import jws as reading

    return str(reading.extract_compact(jws.encode()).headers()["kid"])


def retired(story: Story) -> dict[str, bool]:
    return {one["kid"]: "retired_at" in one for one in published(story)["keys"]}


def at(settings: Settings) -> SealingKey:
    return SealingKey.from_pem(settings.sealing_key_path.read_bytes())


def files(settings: Settings) -> set[str]:
    return {path.name for path in settings.sealing_key_path.parent.iterdir()}


# --- rotation ----------------------------------------------------------------------------------------------------


def test_a_running_service_signs_with_the_new_key_at_once_and_what_the_old_one_signed_still_verifies(
    story: Story, settings: Settings
) -> None:
    case = story.at("under_review")
    before, old = receipt(story, case), story.services.sealer.kid
    head = story.get("seller", f"/cases/{case}/head").get_json()["seal"]
    story.do("mediator", case, "decide", decision())
    with story.services.sessions.begin() as session:
        kept = session.scalars(select(Seal.jws)).one()
    new = rotated(settings)
    after = receipt(story)
    assert (signer(before), signer(head), signer(kept), signer(after)) == (old, old, old, new)
    assert old != new == story.services.sealer.kid == at(settings).kid
    assert retired(story) == {old: True, new: False}
    for jws in (before, head, kept, after):
        verify(jws, published(story))
    retired_at = published(story)["keys"][0]["retired_at"]
    assert retired_at.endswith("Z")
    with pytest.raises(seals.BadSeal):
        verify(before, {"keys": [one for one in published(story)["keys"] if one["kid"] == new]})


def test_the_old_private_key_is_nowhere_afterwards(story: Story, settings: Settings) -> None:
    secret = settings.sealing_key_path.read_text().splitlines()[1].encode()
    rotated(settings)
    for path in settings.home.rglob("*"):
        assert path.is_dir() or secret not in path.read_bytes(), path
    assert files(settings) == {"sealing.pem", "token.pem"}


def test_the_new_key_keeps_owner_mode_and_the_link_that_led_to_the_old_one(
    story: Story, settings: Settings, tmp_path: Path
) -> None:
    real = tmp_path / "elsewhere" / "key.pem"
    real.parent.mkdir()
    settings.sealing_key_path.rename(real)
    settings.sealing_key_path.symlink_to(real)
    real.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(real, 12345, 12346)
    before = real.stat()
    new = rotated(settings)
    assert settings.sealing_key_path.is_symlink()
    assert SealingKey.from_pem(real.read_bytes()).kid == new
    after = real.stat()
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
    assert [path.name for path in real.parent.iterdir()] == ["key.pem"]
    assert signer(receipt(story)) == new


def test_the_list_marks_the_key_in_use_and_says_when_the_others_were_retired(story: Story, settings: Settings) -> None:
    old = story.services.sealer.kid
    new = rotated(settings)
    first, second = keys(settings, "list").output.splitlines()
    assert first.startswith(f"  {old}  created ") and "  retired " in first
    assert second.startswith(f"* {new}  created ") and "retired" not in second
    elsewhere = keys(settings, "list", MEDIATION_HOME=str(settings.home / "other"))
    assert [line[0] for line in elsewhere.stdout.splitlines()] == [" ", " "]
    assert not (settings.home / "other").exists()


def test_the_public_half_is_printed_for_those_who_verify(story: Story, settings: Settings) -> None:
    from evidence.dossier import signatures

    old = story.services.sealer.kid
    printed = keys(settings, "public").output
    assert "PRIVATE" not in printed
    assert signatures.trusted(printed.encode())["kid"] == old
    rotated(settings)
    assert keys(settings, "public").output != printed
    assert keys(settings, "public", old).output == printed
    assert keys(settings, "public", "nobody").exit_code == 2


def test_the_answer_to_a_repeated_filing_has_the_first_receipt_also_after_a_rotation(
    story: Story, settings: Settings
) -> None:
    case = story.open()

    def send(key: str) -> Any:
        data = {"meta": '{"kind": "photo"}', "file": (io.BytesIO(PNG), "a.png")}
        path, headers = f"/v1/cases/{case}/exhibits", story.headers("buyer", **{"Idempotency-Key": key})
        response = story.client.post(path, data=data, headers=headers, content_type="multipart/form-data")
        assert response.status_code == 201, response.get_data(as_text=True)
        return response.get_json()

    key = uuid.uuid4().hex
    first = send(key)
    told = verify(first["receipt"], published(story))
    assert (told["exhibit"], told["sha256"], told["merkle_root"]) == (first["id"], first["sha256"], None)
    rotated(settings)
    assert send(key) == first
    verify(first["receipt"], published(story))
    assert send(uuid.uuid4().hex)["receipt"] != first["receipt"]


def test_filing_goes_on_while_the_key_is_replaced_again_and_again(story: Story, settings: Settings) -> None:
    cases, stop = [story.open() for _ in range(3)], threading.Event()
    story.token("buyer")

    def work(case: str) -> list[str]:
        client, found = story.app.test_client(), []
        while not stop.is_set() or not found:
            response = client.post(f"/v1/cases/{case}/exhibits", json=CHAT, headers=story.headers("buyer"))
            assert response.status_code == 201, response.get_data(as_text=True)
            # Published already, whoever asks at this moment.
            verify(response.get_json()["receipt"], client.get("/v1/keys", headers=story.headers("buyer")).get_json())
            found.append(response.get_json()["receipt"])
        return found

    with ThreadPoolExecutor(3) as pool:
        running = [pool.submit(work, case) for case in cases]
        try:
            made = [sealing.replace(story.services.engine, settings.sealing_key_path, real_time) for _ in range(4)]
        finally:
            stop.set()
        receipts = [jws for one in running for jws in one.result(60)]
    assert [one.before for one in made[1:]] == [one.kid for one in made[:-1]]
    for jws in receipts:
        verify(jws, published(story))
    assert [kid for kid, gone in retired(story).items() if not gone] == [made[-1].kid]


def test_of_those_who_rotate_at_once_one_does_and_the_others_are_told(story: Story, settings: Settings) -> None:
    start = threading.Barrier(4, timeout=30)

    def go(_: int) -> str | None:
        start.wait()
        try:
            return sealing.replace(story.services.engine, settings.sealing_key_path, real_time).kid
        except sealing.BeingReplaced:
            return None

    for _ in range(3):
        with ThreadPoolExecutor(4) as pool:
            made = [kid for kid in pool.map(go, range(4)) if kid]
        assert made
        assert at(settings).kid in made
        assert [kid for kid, gone in retired(story).items() if not gone] == [at(settings).kid]
        assert files(settings) == {"sealing.pem", "token.pem"}
        receipt(story)


def test_who_rotates_while_another_does_is_told_so_and_changes_nothing(story: Story, settings: Settings) -> None:
    before = settings.sealing_key_path.read_bytes()
    with story.services.engine.connect() as connection, sealing._alone(connection):
        result = keys(settings, "rotate")
    assert result.exit_code == 1
    assert "Somebody else is rotating" in result.output and "Traceback" not in result.output
    assert settings.sealing_key_path.read_bytes() == before
    assert len(retired(story)) == 1
    rotated(settings)


# --- a rotation that is broken off -------------------------------------------------------------------------------

DYING = """
import os, signal, sys
from mediation import keys, sealing
from mediation.cli import main

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

def then(module, name):
    whole = getattr(module, name)
    def both(*args):
        found = whole(*args)
        die()
        return found
    setattr(module, name, both)

moment = sys.argv[1]
if moment == "half a draft":
    write = keys._write
    keys._write = lambda path, pem, like=None: (write(path, pem[:40], like), die())
elif moment == "a draft":
    then(keys, "draft_beside")
elif moment == "published, not committed":
    then(sealing, "publish")
elif moment == "published":
    keys.put_in_place = die
elif moment == "in place":
    then(keys, "put_in_place")
elif moment == "retired, not committed":
    then(sealing, "retire_others")
main(["keys", "rotate"])
"""
IN_PLACE = ("in place", "retired, not committed")


@pytest.mark.parametrize("moment", ["half a draft", "a draft", "published, not committed", "published", *IN_PLACE])
def test_a_rotation_that_is_killed_leaves_a_service_that_works_and_can_be_done_again(
    story: Story, settings: Settings, moment: str
) -> None:
    before, old = receipt(story), story.services.sealer.kid
    command = [sys.executable, "-c", DYING, moment]
    env = environment(str(settings.database_url), settings.home)
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL, done.stderr
    in_use = at(settings).kid
    assert (in_use != old) == (moment in IN_PLACE)
    # Whoever runs on, and whoever starts now.
    assert signer(receipt(story)) == in_use
    fresh = make_services(settings)
    assert signer(receipt(Story(create_app(settings, fresh), fresh))) == in_use
    fresh.engine.dispose()
    new = rotated(settings)
    assert signer(receipt(story)) == new == at(settings).kid
    assert [kid for kid, gone in retired(story).items() if not gone] == [new]
    assert retired(story)[old]
    assert files(settings) == {"sealing.pem", "token.pem"}
    verify(before, published(story))


@pytest.mark.parametrize("what", ["publish", "put_in_place", "retire_others"])
def test_a_rotation_that_fails_leaves_no_draft(
    story: Story, settings: Settings, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    def fails(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(sealing if what != "put_in_place" else sealing.keys, what, fails)
        result = keys(settings, "rotate")
    assert result.exit_code == 2
    assert "No space left" in result.output and "Traceback" not in result.output
    assert files(settings) == {"sealing.pem", "token.pem"}
    assert signer(receipt(story)) == at(settings).kid
    rotated(settings)


@pytest.mark.parametrize("what", ["nothing", "no key"])
def test_where_there_is_no_key_none_is_rotated(story: Story, settings: Settings, what: str) -> None:
    settings.sealing_key_path.unlink()
    if what == "no key":
        settings.sealing_key_path.write_text("not a key")
    result = keys(settings, "rotate")
    assert result.exit_code == 2
    assert "SEALING_KEY" in result.output and "Traceback" not in result.output
    assert len(retired(story)) == 1
    assert files(settings) == ({"token.pem"} if what == "nothing" else {"sealing.pem", "token.pem"})


# --- a key replaced by hand --------------------------------------------------------------------------------------


def over_it(path: Path, pem: bytes) -> None:
    path.write_bytes(pem)


def in_its_place(path: Path, pem: bytes) -> None:
    other = path.with_suffix(".new")
    other.write_bytes(pem)
    other.replace(path)


@pytest.mark.parametrize("put", [over_it, in_its_place])
def test_a_key_replaced_by_hand_is_published_before_it_signs(
    story: Story, settings: Settings, monkeypatch: pytest.MonkeyPatch, put: Put
) -> None:
    receipt(story)
    new = seals.generate()
    sign, on_file = SealingKey.sign, []
    with psycopg.connect(story.services.engine.url.set(drivername="postgresql").render_as_string(False)) as other:
        other.autocommit = True

        def looking(self: SealingKey, payload: Any) -> str:
            row = other.execute("SELECT 1 FROM sealing_keys WHERE kid = %s", (self.kid,)).fetchone()
            on_file.append((self.kid, row is not None))
            return sign(self, payload)

        with monkeypatch.context() as patched:
            patched.setattr(SealingKey, "sign", looking)
            put(settings.sealing_key_path, new.to_pem())
            assert signer(receipt(story)) == new.kid
    assert on_file == [(new.kid, True)]
    case = story.at("under_review")
    assert signer(story.get("buyer", f"/cases/{case}/head").get_json()["seal"]) == new.kid


def taken_away(path: Path, pem: bytes) -> None:
    path.unlink()


def half_written(path: Path, pem: bytes) -> None:
    path.write_bytes(pem[: len(pem) // 2])


def emptied(path: Path, pem: bytes) -> None:
    path.write_bytes(b"")


def a_public_key(path: Path, pem: bytes) -> None:
    path.write_bytes(SealingKey.from_pem(pem)._key.as_pem(private=False))


def a_folder(path: Path, pem: bytes) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("put", [taken_away, half_written, emptied, a_public_key, a_folder])
def test_where_the_new_key_cannot_be_used_the_old_one_goes_on_and_it_is_told_once(
    story: Story, settings: Settings, put: Put
) -> None:
    path, old, new = settings.sealing_key_path, story.services.sealer.kid, seals.generate()
    put(path, new.to_pem())
    with capture_logs() as lines:
        assert [signer(receipt(story)) for _ in range(3)] == [old] * 3
    told = [line for line in lines if line["event"] == "sealing_key_unusable"]
    assert [(one["log_level"], one["going_on_with"]) for one in told] == [("error", old)]
    assert "PRIVATE" not in str(lines)
    if path.is_dir():
        path.rmdir()
    over_it(path, new.to_pem())
    with capture_logs() as lines:
        assert [signer(receipt(story)) for _ in range(2)] == [new.kid] * 2
    assert [line["event"] for line in lines if line["event"].startswith("sealing_key")] == ["sealing_key_changed"]


def test_a_key_that_cannot_be_published_does_not_sign_until_it_can(story: Story, settings: Settings) -> None:
    old, new = story.services.sealer.kid, seals.generate()
    over_it(settings.sealing_key_path, new.to_pem())
    with psycopg.connect(
        story.services.engine.url.set(drivername="postgresql").render_as_string(False), autocommit=True
    ) as owner:
        owner.execute("REVOKE INSERT ON sealing_keys FROM mediation_app")
        with capture_logs() as lines:
            assert signer(receipt(story)) == old
        assert "sealing_key_not_published" in [line["event"] for line in lines]
        owner.execute("GRANT INSERT ON sealing_keys TO mediation_app")
    assert signer(receipt(story)) == new.kid


def test_a_key_is_noticed_also_by_a_process_with_a_single_connection(settings: Settings) -> None:
    services = make_services(replace(settings, pool_size=1))
    story = Story(create_app(settings, services), services)
    case = story.open()
    new = seals.generate()
    over_it(settings.sealing_key_path, new.to_pem())
    assert signer(receipt(story, case)) == new.kid
    services.engine.dispose()


def test_a_retired_key_that_comes_back_still_signs_and_is_complained_about(story: Story, settings: Settings) -> None:
    old = settings.sealing_key_path.read_bytes()
    rotated(settings)
    receipt(story)
    over_it(settings.sealing_key_path, old)
    with capture_logs() as lines:
        assert signer(receipt(story)) == SealingKey.from_pem(old).kid
    assert "sealing_key_is_retired" in [line["event"] for line in lines]


def test_an_unchanged_key_is_looked_at_and_not_read(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    receipt(story)

    def fails(*_: object) -> None:
        raise AssertionError("the key was read although nothing changed")

    monkeypatch.setattr(sealing.keys, "read", fails)
    receipt(story)


# --- a key in the environment ------------------------------------------------------------------------------------


@pytest.fixture
def pem() -> str:
    return seals.generate().to_pem().decode()


@pytest.fixture
def from_environment(settings: Settings, pem: str) -> Iterator[Services]:
    made = make_services(replace(settings, sealing_key_pem=pem))
    yield made
    made.engine.dispose()


def test_machines_given_the_same_key_sign_alike_and_write_none_to_disk(
    from_environment: Services, settings: Settings, pem: str
) -> None:
    story = Story(create_app(from_environment.settings, from_environment), from_environment)
    kid = SealingKey.from_pem(pem).kid
    assert signer(receipt(story)) == kid
    assert files(settings) == {"token.pem"}
    other = Sealer(replace(from_environment.settings, home=settings.home / "other"))
    assert other.kid == kid


@pytest.mark.parametrize("line_end", ["\n", "\\n"])
def test_the_key_itself_is_read_from_its_setting(monkeypatch: pytest.MonkeyPatch, pem: str, line_end: str) -> None:
    monkeypatch.setenv("SEALING_KEY_PEM", pem.replace("\n", line_end))
    loaded = load()
    assert loaded.sealing_key_pem == pem
    assert pem.splitlines()[1] not in repr(loaded)
    monkeypatch.setenv("SEALING_KEY_PEM", "")
    assert load().sealing_key_pem is None


def test_a_file_and_the_key_itself_are_not_both_taken(monkeypatch: pytest.MonkeyPatch, pem: str) -> None:
    monkeypatch.setenv("SEALING_KEY_PEM", pem)
    monkeypatch.setenv("SEALING_KEY", "sealing.pem")
    with pytest.raises(BadSetting, match="SEALING_KEY, SEALING_KEY_PEM") as refused:
        load()
    assert pem.splitlines()[1] not in str(refused.value)


def test_a_key_in_the_environment_that_is_none_is_named_and_not_shown(tmp_path: Path, pem: str) -> None:
    broken = pem.replace("PRIVATE", "PRIVAT")
    with pytest.raises(BadSetting, match="SEALING_KEY_PEM: cannot be used") as refused:
        check(load(home=tmp_path, sealing_key_pem=broken))
    shown: BaseException | None = refused.value
    while shown is not None:
        assert pem.splitlines()[1] not in str(shown)
        shown = shown.__cause__


def test_a_key_in_the_environment_is_not_rotated_and_the_list_marks_it(
    from_environment: Services, settings: Settings, pem: str
) -> None:
    result = keys(settings, "rotate", SEALING_KEY_PEM=pem)
    assert result.exit_code == 2
    assert "SEALING_KEY_PEM" in result.output and pem.splitlines()[1] not in result.output
    listed = keys(settings, "list", SEALING_KEY_PEM=pem).output
    assert listed.startswith(f"* {SealingKey.from_pem(pem).kid}")
    assert pem.splitlines()[1] not in listed


def test_two_processes_share_the_key_in_a_file_and_notice_a_new_one_alike(story: Story, settings: Settings) -> None:
    other = build(replace(settings, home=settings.home / "other", sealing_key=settings.sealing_key_path))
    second = Story(create_app(other.settings, other), other)
    assert signer(receipt(story)) == signer(receipt(second))
    new = rotated(settings)
    assert signer(receipt(second)) == signer(receipt(story)) == new
    other.engine.dispose()


# --- signed heads ------------------------------------------------------------------------------------------------


def test_whoever_may_see_a_case_gets_its_head_signed_and_can_hold_the_record_to_it(shared: Story) -> None:
    case = shared.at("under_review")
    kept = shared.get("buyer", f"/cases/{case}/head").get_json()
    told = verify(kept["seal"], published(shared))
    assert told == {
        "v": 1,
        "statement": "head",
        **{name: kept[name] for name in ("case", "seq", "hash", "at")},
    }
    shared.post("seller", f"/cases/{case}/exhibits", CHAT)
    entries = shared.get("buyer", f"/cases/{case}/docket?limit=100").get_json()["items"]
    assert entries[kept["seq"] - 1]["hash"] == kept["hash"]
    assert kept["at"] >= entries[kept["seq"] - 1]["at"]
    later = shared.get("senior", f"/cases/{case}/head")
    assert (later.get_json()["seq"], later.get_json()["hash"]) == (entries[-1]["seq"], entries[-1]["hash"])
    assert later.headers["ETag"] == f'"{entries[-1]["seq"]}"'


def test_a_head_is_signed_anew_each_time_and_not_kept(shared: Story) -> None:
    case = shared.open()
    with shared.services.sessions.begin() as session:
        before = session.scalar(select(func.count()).select_from(Seal))
    first, second = (shared.get("seller", f"/cases/{case}/head").get_json() for _ in range(2))
    assert first["at"] < second["at"] and first["seal"] != second["seal"]
    assert first["seq"] == second["seq"]
    with shared.services.sessions.begin() as session:
        assert session.scalar(select(func.count()).select_from(Seal)) == before
        assert session.scalar(select(func.count()).select_from(Row)) == 1


def test_who_may_not_see_a_case_gets_no_head(shared: Story) -> None:
    case = shared.open()
    for who in ("other_buyer", "other_seller"):
        assert shared.get(who, f"/cases/{case}/head").status_code == 404
    assert shared.client.get(f"/v1/cases/{case}/head").status_code == 401
