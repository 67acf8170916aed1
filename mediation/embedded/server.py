"""One server for one home: holding it, starting it, letting it go."""

from __future__ import annotations

import fcntl
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

import psycopg

from mediation.embedded import postmaster
from mediation.embedded.accounts import Account, account_for, open_the_way
from mediation.embedded.errors import EmbeddedServerError
from mediation.embedded.sockets import PORT, make_socket_folder, socket_folder
from mediation.embedded.wheel import PROGRAMS, VERSION

T = TypeVar("T")

DATABASE = "mediation"

SETTINGS = {
    "timezone": "UTC",
    "log_timezone": "UTC",
    "max_connections": "200",
    "unix_socket_permissions": "0700",
    # What fails inside a statement is the application's to log: PostgreSQL would write the values in it, and they
    # may be personal. What concerns the server itself (LOG, FATAL, PANIC) stays.
    "log_min_messages": "log",
    "log_error_verbosity": "terse",
    "log_checkpoints": "off",
    # A segment of the write-ahead log that is kept for use again keeps what was erased since.
    "wal_recycle": "off",
    "min_wal_size": "32MB",
}
NOT_DURABLE = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}
# The order of texts must not depend on the machine's C library, or indexes break when the data move.
LOCALE = ("--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")


@contextmanager
def running(home: Path, *, durable: bool = True) -> Iterator[EmbeddedServer]:
    """The server of this home, started or found running, and stopped at the end by whoever holds it last.

    `durable=False` is for tests only: a crash of the machine may then lose the data.
    Raises EmbeddedServerError.
    """
    server = EmbeddedServer(home, durable=durable)
    try:
        server.start()
        yield server
    finally:
        server.stop()


def _undisturbed(act: Callable[[], T]) -> T:
    """Do what must not be torn in two: if a signal raises, `act` has not begun and never will, or is done first.

    Python runs signal handlers in the main thread only, so `act` runs in another. An executor would not do: an
    interrupted `submit` may leave a thread behind that nobody knows of.
    """
    future: Future[T] = Future()

    def run() -> None:
        if future.set_running_or_notify_cancel():
            try:
                future.set_result(act())
            except BaseException as error:  # noqa: BLE001 - raised where its result is asked for
                future.set_exception(error)

    try:
        threading.Thread(target=run, name="postgres-start").start()
        return future.result()
    except BaseException:
        if not future.cancel():
            wait([future])
        raise


class EmbeddedServer:
    """One PostgreSQL over `home/postgres`, shared by all processes that hold it.

    To hold it is to keep a shared lock (flock) on `home/postgres.holders`. The kernel drops it when the process ends
    in whatever way, so the dead hold nothing. A bare fork inherits it; a program that is executed does not.
    """

    def __init__(self, home: Path, *, durable: bool = True) -> None:
        self.home = home.expanduser().resolve()
        self.data = self.home / "postgres"
        self.log = self.home / "postgres.log"
        self._durable = durable
        self._holder: int | None = None

    def url(self, database: str = DATABASE) -> str:
        """The SQLAlchemy URL of a database of this server; the same for every start of one home."""
        folder = quote(str(socket_folder(self.data)))
        return f"postgresql+psycopg://postgres@/{database}?host={folder}&port={PORT}"

    @property
    def alive(self) -> bool:
        """Whether the server's process is there."""
        return postmaster.find(self.data) is not None

    def start(self) -> None:
        """Start the server or adopt the one running on this data; wait until it answers, however long recovery takes.

        Makes the data and the database `mediation` when missing; may be called again when the server has died.
        Raises EmbeddedServerError.
        """
        try:
            self.home.mkdir(parents=True, exist_ok=True)
            with self._guard():
                self._hold()
                account = account_for(self.data)
                open_the_way(account, self.data, PROGRAMS)
                _undisturbed(lambda: self._prepare_data(account))
                self._start(account)
                self._create_database()
        except OSError as error:
            raise EmbeddedServerError(
                f"The embedded PostgreSQL cannot use the folder {self.home}: {error.strerror or error}"
                f" ({error.filename or self.home}). Name another with --home or MEDIATION_HOME."
            ) from error

    def stop(self) -> None:
        """Let go of the server; the last holder stops it. Safe to call after a start that failed, and twice.

        Raises EmbeddedServerError if the server does not end.
        """
        if self._holder is None:
            return
        with self._guard():
            try:
                if self._is_last():
                    process = postmaster.find(self.data)
                    if process is not None:
                        postmaster.end(process)
            finally:
                os.close(self._holder)
                self._holder = None

    @contextmanager
    def _guard(self) -> Iterator[None]:
        """One process at a time starts or stops the server of a home."""
        with (self.home / "postgres.guard").open("ab") as guard:
            fcntl.flock(guard, fcntl.LOCK_EX)
            yield

    def _hold(self) -> None:
        if self._holder is None:
            self._holder = os.open(self.home / "postgres.holders", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._holder, fcntl.LOCK_SH)

    def _is_last(self) -> bool:
        assert self._holder is not None
        try:
            # Failing drops our shared lock, which is well: we are leaving, and the guard lets nobody else ask now.
            fcntl.flock(self._holder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _prepare_data(self, account: Account) -> None:
        version_file = self.data / "PG_VERSION"
        if version_file.exists():
            version = version_file.read_text().strip()
            if version != VERSION:
                raise EmbeddedServerError(
                    f"The data in {self.data} are of PostgreSQL {version}, and this release brings"
                    f" {VERSION}. Move them over with a dump or pg_upgrade, name another folder with"
                    " --home, or set DATABASE_URL to a server that reads them."
                )
        elif self.data.exists() and any(self.data.iterdir()):
            raise EmbeddedServerError(
                f"{self.data} is neither empty nor a PostgreSQL data folder. Move it away, or name another with --home."
            )
        else:
            self._create_data(account)

    def _create_data(self, account: Account) -> None:
        # The data get their name only when they are whole: an initdb that was killed leaves nothing to trip over.
        fresh = self.home / "postgres.new"
        if fresh.exists():
            shutil.rmtree(fresh)
        fresh.mkdir(mode=0o700)
        os.chown(fresh, account.uid, account.gid)
        haste = () if self._durable else ("--no-sync",)
        postmaster.run(
            "initdb", "--auth=trust", "--username=postgres", *LOCALE, *haste, "-D", str(fresh), account=account
        )
        fresh.rename(self.data)

    def _start(self, account: Account) -> None:
        heard = self.log.stat().st_size if self.log.exists() else 0
        process = postmaster.find(self.data)
        if process is not None and postmaster.status(self.data) == "stopping":
            # Somebody was killed while stopping it; the server itself goes on to its end.
            postmaster.end(process)
            process = None
        if process is None:
            settings = SETTINGS | ({} if self._durable else NOT_DURABLE)
            sockets = make_socket_folder(self.data, account)
            process = _undisturbed(lambda: postmaster.spawn(self.data, sockets, settings, self.log, account))
        postmaster.await_ready(process, self.data, self.log, heard)

    def _create_database(self) -> None:
        try:
            with psycopg.connect(
                host=str(socket_folder(self.data)), port=PORT, user="postgres", dbname="postgres", autocommit=True
            ) as connection:
                found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone()
                if found is None:
                    connection.execute(f"CREATE DATABASE {DATABASE}")
        except psycopg.Error as error:
            raise EmbeddedServerError(f"The embedded PostgreSQL runs but does not serve: {error}") from error
