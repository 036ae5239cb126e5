"""waitress, on another port where the command line names one, and with one line where the port is taken."""

import os
import socket
from collections.abc import Callable
from functools import partial
from typing import Any

import waitress


def on_port(global_config: dict[str, str], host: str, port: str, **settings: str) -> Callable[..., Any]:
    """``pserve development.ini http_port=6544``"""
    port = global_config.get("http_port", port)
    if not port.isdecimal():
        raise SystemExit(f"Port {port}: it must be a number, such as 6544")
    try:
        # Before pserve serves: it ends with this line and as a failure. Later it would show a traceback.
        socket.create_server((host, int(port))).close()
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise SystemExit(
            f"Port {port}: {reason}. Take another one: make serve PORT=6544, or http_port=6544 after pserve's ini file"
        ) from None
    return partial(waitress.serve, host=host, port=port, **settings)
