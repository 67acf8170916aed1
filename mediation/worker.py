"""The worker: `python -m mediation.worker`, any number of them on any number of machines."""

from __future__ import annotations

import asyncio
import sys
import uuid
from contextlib import suppress

import procrastinate
import structlog
from procrastinate.exceptions import AlreadyEnqueued
from procrastinate.jobs import Status

from mediation import jobs, logs, paying
from mediation.gateways import Gateway, gateway_of
from mediation.services import Services, build
from mediation.settings import BadSetting, Settings, load
from mediation.supervision.parent import die_with_parent

CONCURRENCY = 4
SWEEP_CRON = "* * * * * */2"  # every two seconds; the sixth field is seconds
TIDY_CRON = "*/5 * * * *"
PAY = "mediation.pay_refund"
DRAIN_SECONDS = 15
log = structlog.get_logger("mediation.worker")


def make_app(settings: Settings, services: Services, gateway: Gateway) -> procrastinate.App:
    """The queue's application with the tasks of this service."""
    app = procrastinate.App(connector=jobs.worker_connector(str(settings.database_url)))

    @app.task(name=PAY)
    def pay_refund(refund_id: str) -> None:
        paying.pay(services, gateway, uuid.UUID(refund_id))

    @app.periodic(cron=SWEEP_CRON)
    @app.task(name=jobs.SWEEP, queueing_lock=jobs.SWEEP)
    async def sweep_refunds(timestamp: int) -> None:
        """One job for each refund that is due, so that a slow gateway holds up nobody else's."""
        for refund_id in await asyncio.to_thread(paying.due, services):
            with suppress(AlreadyEnqueued):
                await pay_refund.configure(queueing_lock=f"{PAY}:{refund_id}").defer_async(refund_id=str(refund_id))

    @app.periodic(cron=TIDY_CRON)
    @app.task(name="mediation.tidy_jobs", queueing_lock="mediation.tidy_jobs")
    async def tidy_jobs(timestamp: int) -> None:
        """Forget the jobs of workers that died; the sweep does what they left."""
        for job in await app.job_manager.get_stalled_jobs():
            await app.job_manager.finish_job(job, status=Status.FAILED, delete_job=True)

    return app


def run(settings: Settings) -> None:
    """Work until SIGTERM or SIGINT; a job under way is finished first."""
    services = build(settings)
    gateway = gateway_of(settings)
    app = make_app(settings, services, gateway)
    log.info("worker_started", gateway=gateway.name)
    try:
        app.run_worker(
            concurrency=CONCURRENCY,
            fetch_job_polling_interval=1.0,
            delete_jobs="always",
            shutdown_graceful_timeout=DRAIN_SECONDS,
        )
    finally:
        gateway.close()
        services.engine.dispose()
    log.info("worker_stopped")


def main() -> None:
    """Start a worker, configured by the environment."""
    die_with_parent()
    try:
        settings = load()
        logs.configure(settings)
        run(settings)
    except BadSetting as error:
        sys.exit(f"Error: {error}")


if __name__ == "__main__":
    main()
