"""The dashboard as a web application, and as a server of its own."""

from __future__ import annotations

import contextlib
import html
import socket
from collections.abc import Iterator, Sequence
from functools import partial
from http import HTTPStatus
from typing import Any

from dash import Dash
from flask import Flask
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from betanas.analysis.dashboard.access import Access, check_opening
from betanas.analysis.dashboard.callbacks import connect
from betanas.analysis.dashboard.feed import StudyFeed
from betanas.analysis.dashboard.followed import FollowedStudies
from betanas.analysis.dashboard.page import INDEX, layout
from betanas.analysis.errors import AnalysisError


def create_app(followed: FollowedStudies, *, token: str | None = None, refresh: float = 2.0) -> Flask:
    """The dashboard as a WSGI application; everything it serves comes from this machine.

    Args:
        followed: the studies to follow.
        token: what a visitor must show; None where only this machine reaches the server.
        refresh: seconds between two looks of a page.
    """
    app = Dash(
        __name__,
        serve_locally=True,
        assets_folder="assets",
        pages_folder="",
        index_string=INDEX,
        # Dash puts the title into the page as it is.
        title=html.escape(f"{', '.join(followed.names)} - BetaNAS"),
        update_title="",
        meta_tags=[{"name": "viewport", "content": "width=device-width, initial-scale=1"}],
        add_log_handler=False,
        suppress_callback_exceptions=True,
        enable_mcp=False,
    )
    app.layout = partial(layout, followed, refresh=refresh)
    connect(app, followed)
    server: Flask = app.server
    Access(token, app.csp_hashes).install(server)
    return server


class _QuietHandler(WSGIRequestHandler):
    """A page that asks every two seconds would fill the terminal."""

    def log_request(self, code: HTTPStatus | int | str = "-", size: int | str = "-") -> None:
        """Say nothing."""


@contextlib.contextmanager
def dashboard_server(
    studies: Sequence[str],
    *,
    host: str = "127.0.0.1",
    port: int = 8050,
    token: str | None = None,
    refresh: float = 2.0,
) -> Iterator[BaseWSGIServer]:
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
        application: Any = create_app(FollowedStudies(feeds), token=token, refresh=refresh)
        server = make_server(
            host, port, application, threaded=True, request_handler=_QuietHandler, fd=listener.fileno()
        )
        stack.callback(server.server_close)
        yield server
