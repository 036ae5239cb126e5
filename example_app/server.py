"""Starts waitress: on another port if the command line names one, and with a one-line message if the port is taken."""

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
        # Tried here, since an error in waitress would be a traceback.
        socket.create_server((host, int(port))).close()
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise SystemExit(
            f"Port {port}: {reason}. Take another one: make serve PORT=6544, or http_port=6544 after pserve's ini file"
        ) from None
    return partial(waitress.serve, host=host, port=port, **settings)
