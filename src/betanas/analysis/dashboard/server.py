"""The dashboard as a server of its own, which no visitor can wear out: few threads, and a bound for everything."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from waitress import wasyncore
from waitress.server import create_server

from betanas.analysis.dashboard.access import check_opening
from betanas.analysis.dashboard.app import create_app
from betanas.analysis.dashboard.feed import StudyFeed
from betanas.analysis.dashboard.followed import FollowedStudies
from betanas.analysis.errors import AnalysisError

# A page asks every two seconds, and what it asks is answered from memory.
_THREADS = 8

# A page's questions are some kilobytes; a figure's selection of 10,000 trials some hundred.
MOST_BYTES = 4 * 2**20

# Connections wait for a thread without holding one; those that say nothing are closed.
_CONNECTIONS, _SILENT_SECONDS = 500, 60


class DashboardServer:
    """A bound server.

    Attributes:
        port: where it listens.
    """

    def __init__(self, listener: socket.socket, application: Callable[..., Any]) -> None:
        self.port = int(listener.getsockname()[1])
        self._sockets: dict[int, Any] = {}
        self._server = create_server(
            application,
            map=self._sockets,
            sockets=[listener],
            threads=_THREADS,
            connection_limit=_CONNECTIONS,
            channel_timeout=_SILENT_SECONDS,
            max_request_body_size=MOST_BYTES,
            ident="",
        )

    def serve_forever(self) -> None:
        """Answer, until another thread calls `shutdown` or the process is interrupted."""
        wasyncore.loop(timeout=1, map=self._sockets)

    def shutdown(self) -> None:
        """End `serve_forever`; may be called by any thread."""
        self._server.trigger.pull_trigger(self.close)

    def close(self) -> None:
        """Let go of the port, the connections and the threads."""
        self._server.task_dispatcher.shutdown()
        wasyncore.close_all(self._sockets)


@contextlib.contextmanager
def dashboard_server(
    studies: Sequence[str],
    *,
    host: str = "127.0.0.1",
    port: int = 8050,
    token: str | None = None,
    refresh: float = 2.0,
) -> Iterator[DashboardServer]:
    """A server that is bound and ready for `serve_forever()`; closed at the end, its studies with it.

    Args:
        studies: where they live.
        host: address to listen at; one that others can reach needs a token.
        port: 0 takes a free one.
        token: what a visitor must show.
        refresh: seconds between two looks.

    Raises:
        AnalysisError: there is no token where one is needed, or the address cannot be had.
        StudyError: a study is missing or damaged.
    """
    check_opening(host, token)
    with contextlib.ExitStack() as stack:
        feeds = []
        for study in dict.fromkeys(studies):
            feed = StudyFeed(study, interval=refresh / 2)
            stack.callback(feed.close)
            feeds.append(feed)
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            listener = stack.enter_context(socket.create_server((host, port), family=family))
        except (OSError, OverflowError) as error:
            raise AnalysisError(
                "The dashboard needs an address that is free.",
                value=f"{host}:{port}",
                hint=f"{error}; choose another with --port.",
            ) from error
        server = DashboardServer(listener, create_app(FollowedStudies(feeds), token=token, refresh=refresh))
        stack.callback(server.close)
        yield server
