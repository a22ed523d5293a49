"""The dashboard as a web application."""

from __future__ import annotations

import html
from functools import partial

from dash import Dash
from flask import Flask

from betanas.analysis.dashboard.access import Access
from betanas.analysis.dashboard.callbacks import connect
from betanas.analysis.dashboard.followed import FollowedStudies
from betanas.analysis.dashboard.page import INDEX, layout


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
