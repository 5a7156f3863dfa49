"""`lnca app`."""

from typing import Annotated

from .declare import Option


def app(
    port: Annotated[int, Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")] = 8080,
    no_browser: Annotated[bool, Option("--no-browser", help="Print the address, and do not open a browser.")] = False,
) -> None:
    """Open the page that restores pictures in the browser. Only this machine can reach it."""
    import contextlib
    import webbrowser

    from ..page import built_page, server

    with server(built_page(), port) as running:
        address = f"http://{running.server_address[0]!s}:{running.server_port}/"
        print(f"{address}  (Ctrl-C ends it)", flush=True)
        if not no_browser:
            webbrowser.open(address)
        with contextlib.suppress(KeyboardInterrupt):
            running.serve_forever()
