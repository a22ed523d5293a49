"""`betanas dashboard`: a live web page that watches studies."""

from __future__ import annotations

from typing import Annotated

import typer


def dashboard(
    studies: Annotated[
        list[str], typer.Argument(help="Directories of studies, or their PostgreSQL URLs.", metavar="STUDY...")
    ],
    host: Annotated[str, typer.Option(help="Address to listen at; one that others can reach needs a token.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(help="Port to listen at; 0 takes a free one.", min=0, max=65535)] = 8050,
    token: Annotated[
        str | None,
        typer.Option(help="What a visitor must type, 16 characters or more.", envvar="BETANAS_DASHBOARD_TOKEN"),
    ] = None,
    refresh: Annotated[float, typer.Option(help="Seconds between two looks at the studies.", min=0.2)] = 2.0,
    open_browser: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
) -> None:
    """Watch studies in a web page: trials as they finish, curves, comparisons; pause or stop a search."""
    import webbrowser

    from betanas.analysis.dashboard import require_dash
    from betanas.cli.output import console

    require_dash()
    from betanas.analysis.dashboard.server import dashboard_server

    with dashboard_server(studies, host=host, port=port, token=token, refresh=refresh) as server:
        shown = f"[{host}]" if ":" in host else host
        address = f"http://{shown}:{server.port}/"
        console().print(f"{address} (Ctrl-C ends it)", markup=False)
        if open_browser:
            webbrowser.open(address)
        server.serve_forever()
