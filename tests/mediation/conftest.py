"""A real, migrated PostgreSQL for every test: one server a run, one template, a copy of it for each database needed."""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from flask import Flask
from sqlalchemy.engine import make_url

from mediation import create_app, migrating, policies
from mediation.db import driver_url, make_engine, make_sessions
from mediation.services import Services, build, real_time
from mediation.settings import Settings, load
from tests.mediation.story import Story
from workflows.policies import shipped


class Server:
    """The PostgreSQL of this run: the one in DATABASE_URL, else an embedded one of our own."""

    def __init__(self, url: str) -> None:
        self._url = make_url(driver_url(url))

    def url(self, database: str) -> str:
        return self._url.set(database=database).render_as_string(hide_password=False)

    def execute(self, statement: str) -> None:
        conninfo = self._url.set(drivername="postgresql", database="postgres").render_as_string(hide_password=False)
        with psycopg.connect(conninfo, autocommit=True) as connection:
            connection.execute(statement)  # type: ignore[arg-type]

    def create(self, template: str | None = None) -> str:
        name = f"t_{uuid.uuid4().hex[:16]}"
        self.execute(f"CREATE DATABASE {name}" + (f" TEMPLATE {template}" if template else ""))
        return name

    def drop(self, name: str) -> None:
        self.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    given = os.environ.get("DATABASE_URL")
    if given:
        yield Server(given)
        return
    from mediation.embedded import running

    home = Path(tempfile.mkdtemp(prefix="m-"))
    with running(home, durable=False) as embedded:
        yield Server(embedded.url("postgres"))
    shutil.rmtree(home, ignore_errors=True)


def patient_policies() -> str:
    """The shipped policies, but the seller is told after an hour, so that a test can do it and be first."""
    text = shipped()
    assert 'notification = "0"' in text
    return text.replace('notification = "0"', 'notification = "1h"')


def load_policies(url: str) -> None:
    """Put the patient policies on file, unless a version is there already."""
    engine = make_engine(url)
    with make_sessions(engine).begin() as session:
        if not policies.versions(session):
            policies.load(session, patient_policies(), effective_from=policies.ALWAYS, now=real_time(), by="tests")
    engine.dispose()


@pytest.fixture(scope="session")
def template(server: Server) -> Iterator[str]:
    name = server.create()
    migrating.upgrade(server.url(name))
    load_policies(server.url(name))
    yield name
    server.drop(name)


@pytest.fixture
def database(server: Server, template: str) -> Iterator[str]:
    """The URL of a migrated, empty database of the test's own."""
    name = server.create(template)
    yield server.url(name)
    server.drop(name)


@pytest.fixture(scope="module")
def module_database(server: Server, template: str) -> Iterator[str]:
    """One for all tests of a module that make their own cases and do not mind the others'."""
    name = server.create(template)
    yield server.url(name)
    server.drop(name)


def make_settings(url: str, home: Path, **more: object) -> Settings:
    return load(database_url=url, home=home, log_level="warning", pool_size=20, **more)


def make_services(settings: Settings, **more: object) -> Services:
    engine = make_engine(str(settings.database_url), pool_size=settings.pool_size)
    return build(settings, engine=engine, hint=lambda: None, **more)  # type: ignore[arg-type]


@pytest.fixture
def settings(database: str, tmp_path: Path) -> Settings:
    return make_settings(database, tmp_path)


@pytest.fixture
def services(settings: Settings) -> Iterator[Services]:
    made = make_services(settings)
    yield made
    made.engine.dispose()


@pytest.fixture
def app(settings: Settings, services: Services) -> Flask:
    return create_app(settings, services)


@pytest.fixture
def story(app: Flask, services: Services) -> Story:
    """The API with tokens for everyone and ways to bring a case anywhere."""
    return Story(app, services)


@pytest.fixture(scope="module")
def shared(module_database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """The same over the module's database."""
    settings = make_settings(module_database, tmp_path_factory.mktemp("home"))
    made = make_services(settings)
    yield Story(create_app(settings, made), made)
    made.engine.dispose()
