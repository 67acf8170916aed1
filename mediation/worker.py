"""The worker: `python -m mediation.worker`, any number of them on any number of machines."""

from __future__ import annotations

import asyncio
import importlib
import signal
import sys
import traceback
import uuid
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any

import procrastinate
import psycopg
import structlog
from procrastinate.exceptions import AlreadyEnqueued, ConnectorException
from procrastinate.jobs import Status
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from mediation import clock, erasure, idempotency, jobs, logs, paying, policies
from mediation.gateways import Gateway, gateway_of
from mediation.services import Services, build
from mediation.settings import BadSetting, Settings, load
from mediation.supervision.parent import die_with_parent
from workflows.policies import PoliciesNotReadable

CONCURRENCY = 4
SWEEP_CRON = "* * * * * */2"  # every two seconds; the sixth field is seconds
TIDY_CRON = "*/5 * * * *"
BATCH = 1_000
PAY = "mediation.pay_refund"
DRAIN_SECONDS = 12  # for jobs under way at a stop; less than a supervisor waits before it kills
TICK_SECONDS, LEAST_SECONDS = 1.0, 0.05  # between two looks at what is due
KEEP_SECONDS = 2.0  # between two looks for cases without a clock, and at the file of policies
PAUSE_SECONDS = 2.0  # before looking for a lost database again
#: How a database that is away or going away shows itself in what the worker uses of it.
DATABASE_LOST = (ConnectorException, psycopg.OperationalError, OperationalError, InterfaceError)
log = structlog.get_logger("mediation.worker")


def make_app(settings: Settings, services: Services, gateway: Gateway) -> procrastinate.App:
    """The queue's application with the tasks of this service."""
    app = procrastinate.App(connector=jobs.worker_connector(str(settings.database_url)))

    @app.task(name=PAY)
    def pay_refund(refund_id: str) -> None:
        paying.pay(services, gateway, uuid.UUID(refund_id))

    @app.periodic(cron=SWEEP_CRON)
    @app.task(name=jobs.SWEEP, queueing_lock=jobs.SWEEP, priority=jobs.SWEEP_PRIORITY)
    async def sweep_refunds(timestamp: int) -> None:
        """One job for each refund that is due, so that a slow gateway holds up nobody else's."""
        found = await asyncio.to_thread(paying.due, services)
        if not found:
            return
        waiting = await app.job_manager.list_jobs_async(task=PAY, status=Status.TODO.value)
        queued = {job.queueing_lock for job in waiting}
        for refund_id, lock in ((one, f"{PAY}:{one}") for one in found):
            if lock in queued:
                continue
            # Another worker's sweep may have been quicker.
            with suppress(AlreadyEnqueued):
                await pay_refund.configure(queueing_lock=lock).defer_async(refund_id=str(refund_id))

    @app.periodic(cron=TIDY_CRON)
    @app.task(name="mediation.tidy_jobs", queueing_lock="mediation.tidy_jobs")
    async def tidy_jobs(timestamp: int) -> None:
        """Forget the jobs of workers that died; the sweep does what they left."""
        for job in await app.job_manager.get_stalled_jobs():
            # It may have ended meanwhile, or another worker may tidy too.
            with suppress(ConnectorException):
                await app.job_manager.finish_job(job, status=Status.FAILED, delete_job=True)

    @app.periodic(cron=TIDY_CRON)
    @app.task(name="mediation.forget_answers", queueing_lock="mediation.forget_answers")
    def forget_answers(timestamp: int) -> None:
        """Delete the answers kept for safe retries whose time is over, a batch a transaction."""
        forgotten = BATCH
        while forgotten == BATCH:
            with services.sessions.begin() as session:
                forgotten = idempotency.forget(session, services.real(), limit=BATCH)

    @app.periodic(cron=SWEEP_CRON)
    @app.task(name="mediation.erase_blobs", queueing_lock="mediation.erase_blobs")
    def erase_blobs(timestamp: int) -> None:
        """Delete the bytes of redacted exhibits that a process left when it died."""
        erasure.sweep(services)

    return app


async def tick(services: Services) -> None:
    """Fire deadlines as they fall due, one after another, until cancelled; then look again, at least every second.

    Deadlines are rows and no jobs: what a worker that dies leaves is found by the next look of any other.
    """
    while True:
        pause = TICK_SECONDS
        try:
            while await asyncio.to_thread(clock.fire_next, services):
                continue
            pause = await asyncio.to_thread(_until_next, services)
        except (DBAPIError, PoolTimeout) as error:
            _require_database(error)
        await asyncio.sleep(pause)


def _until_next(services: Services) -> float:
    """Seconds until something may fall due."""
    with services.sessions.begin() as session:
        moment = clock.next_wake(session)
    left = TICK_SECONDS if moment is None else (moment - services.clock()).total_seconds()
    return min(max(left, LEAST_SECONDS), TICK_SECONDS)


def _require_database(error: DBAPIError | PoolTimeout) -> None:
    """Raises the error if the database is away; else it was a lock or a connection that was not had in time, which
    says nothing about the next deadline.
    """
    if isinstance(error, DBAPIError) and clock.is_away(error):
        raise error
    log.warning("clock_disturbed", error=type(getattr(error, "orig", error)).__name__)


async def keep_clocks(services: Services) -> None:
    """See that every open case has its clock, and that a changed file of policies comes into force."""
    policies_read: float | None = None
    while True:
        try:
            await asyncio.to_thread(clock.start_missing, services)
            policies_read = await asyncio.to_thread(_policies, services, policies_read)
        except (DBAPIError, PoolTimeout) as error:
            _require_database(error)
        await asyncio.sleep(KEEP_SECONDS)


def _policies(services: Services, read: float | None) -> float | None:
    """Load the file of policies if it was written since; a file that cannot be read leaves the old ones in force."""
    file = services.settings.policy_file
    if file is None:
        return None
    try:
        written = file.stat().st_mtime
        if read is not None and written == read:
            return read
        with services.sessions.begin() as session:
            version = policies.publish(session, file, services.real(), edited=read is not None)
        if version is not None:
            log.info("policies_loaded", version=version)
        return written
    except (OSError, UnicodeDecodeError, PoliciesNotReadable) as error:
        log.error("policies_not_loaded", file=str(file), why=str(error))
        return read


async def report_failures(call: Callable[[], Awaitable[Any]], context: procrastinate.JobContext, worker: Any) -> Any:
    """Log where a job failed and with what kind of error; the message may hold personal text and is left out.

    The job is done with: what it owed is found again by the sweep, after the pause that its row says.
    """
    try:
        return await call()
    except Exception as error:  # noqa: BLE001 - the outermost place that knows which job it was
        log.error(
            "job_failed",
            job=context.job.task_name,
            args=context.job.task_kwargs,
            error=type(error).__name__,
            sqlstate=getattr(getattr(error, "orig", None), "sqlstate", None),
            where=[
                f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)
            ],
        )
        return None


async def work(settings: Settings) -> None:
    """Work until SIGTERM or SIGINT; jobs under way are finished first. Outlives a database that goes away.

    Raises BadSetting.
    """
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    stopping = asyncio.create_task(stop.wait())
    while not stop.is_set():
        shift = asyncio.create_task(_shift(settings))
        await asyncio.wait({shift, stopping}, return_when=asyncio.FIRST_COMPLETED)
        shift.cancel()
        try:
            await shift
        except asyncio.CancelledError:
            break
        except DATABASE_LOST as error:
            log.warning("database_lost", error=type(error.__cause__ or error).__name__)
        if not stop.is_set():
            log.warning("worker_pauses", seconds=PAUSE_SECONDS)
            await asyncio.wait({stopping}, timeout=PAUSE_SECONDS)
    log.info("worker_stopped")


async def _together(*works: Coroutine[Any, Any, Any]) -> None:
    """Do all of this until one of it ends or fails, or until cancelled; then stop the others and wait for them."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _shift(settings: Settings) -> None:
    """Work until cancelled, or until the queue's connections break."""
    services = await asyncio.to_thread(build, settings)
    try:
        gateway = gateway_of(settings)
        try:
            app = make_app(settings, services, gateway)
            async with app.open_async():
                log.info("worker_started", gateway=gateway.name, clock_workers=settings.clock_workers)
                jobs_done = app.run_worker_async(
                    concurrency=CONCURRENCY,
                    fetch_job_polling_interval=1.0,
                    delete_jobs="always",
                    shutdown_graceful_timeout=DRAIN_SECONDS,
                    install_signal_handlers=False,
                    worker_middleware=[report_failures],
                )
                ticks = [tick(services) for _ in range(settings.clock_workers)]
                await _together(jobs_done, keep_clocks(services), *ticks)
        finally:
            gateway.close()
    finally:
        services.engine.dispose()


def main() -> None:
    """Start a worker, configured by the environment."""
    die_with_parent()
    try:
        settings = load()
        logs.configure(settings)
        asyncio.run(work(settings))
    except BadSetting as error:
        sys.exit(f"Error: {error}")


if __name__ == "__main__":
    # Imported under its own name: the queue takes tasks of `__main__` for a mistake and says so.
    importlib.import_module("mediation.worker").main()
