"""How the processes of an installation write their logs: one event a line, on stderr."""

from __future__ import annotations

import json
import logging
import logging.config
import sys
from collections.abc import Callable
from typing import Any

import orjson
import structlog
from structlog.typing import Processor

from mediation.settings import Settings

#: Done to every event, be it ours or a library's.
SHARED: list[Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]

WORDY = ("transitions", "alembic", "httpx", "httpcore", "procrastinate")


def formatter(log_format: str) -> logging.Formatter:
    """What turns an event into a line: JSON for machines, text for people; `auto` is text at a terminal only."""
    terminal = sys.stderr.isatty()
    last: Processor = (
        structlog.dev.ConsoleRenderer(colors=terminal)
        if log_format == "text" or (log_format == "auto" and terminal)
        else structlog.processors.JSONRenderer(serializer=_json)
    )
    return Lines(structlog.processors.format_exc_info, last)


class Lines(structlog.stdlib.ProcessorFormatter):
    """Writes events as lines. Ours bring all along that is said of them, and need none of what a library's do: for
    those the formatter that this one stands on copies the whole record, which takes longer than all the rest.
    """

    def __init__(self, *last: Processor) -> None:
        super().__init__(processors=[self.remove_processors_meta, *last], foreign_pre_chain=SHARED)
        self._last = last

    def format(self, record: logging.LogRecord) -> str:
        """The line of an event."""
        if type(record.msg) is not dict or not hasattr(record, "_logger"):
            return super().format(record)
        event: Any = dict(record.msg)
        for processor in self._last:
            event = processor(record._logger, record.levelname.lower(), event)
        return str(event)


def _json(event: Any, default: Callable[[Any], Any]) -> str:
    try:
        return orjson.dumps(event, default=default, option=orjson.OPT_NON_STR_KEYS).decode()
    except orjson.JSONEncodeError:
        # A number beyond 64 bits, or a file's name that is no text: rare enough to be written the slow way.
        return json.dumps(event, default=default)


class NotAdviceOnThreads(logging.Filter):
    """Drops granian's warning of more threads than cores: ours wait for the database most of their time."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not record.getMessage().startswith("Configuration allows spawning up to")


def dict_config(settings: Settings) -> dict[str, Any]:
    """The standard library's configuration, all of it plain data: it is handed to processes that are spawned."""
    level = settings.log_level.upper()
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"advice": {"()": f"{__name__}.NotAdviceOnThreads"}},
        "formatters": {"line": {"()": f"{__name__}.formatter", "log_format": settings.log_format}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line", "stream": "ext://sys.stderr"}},
        "root": {"handlers": ["stderr"], "level": level},
        # Libraries that tell every step of theirs; what goes wrong they still say.
        "loggers": {name: {"level": "WARNING"} for name in WORDY}
        | {"_granian": {"handlers": [], "filters": ["advice"], "level": level, "propagate": True}},
    }


def configure(settings: Settings) -> None:
    """Send our events and the libraries' the same way. Called once, at a process's start."""
    # No line of ours names the code that wrote it, so nobody looks for it: a switch that the HOWTO of logging names.
    logging._srcfile = None
    logging.config.dictConfig(dict_config(settings))
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *SHARED,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
