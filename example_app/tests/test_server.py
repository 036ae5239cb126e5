"""The port that pserve is given."""

import socket

import pytest

from example_app.server import on_port


def test_the_command_line_goes_before_the_ini_file() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])

    serve = on_port({"http_port": port}, host="127.0.0.1", port="6543", threads="8")

    assert serve.keywords == {"host": "127.0.0.1", "port": port, "threads": "8"}


def test_a_port_that_is_taken_is_named_with_the_cure() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with pytest.raises(SystemExit, match=rf"^Port {port}: Address already in use\. .* make serve PORT=6544"):
            on_port({}, host="127.0.0.1", port=port)


def test_a_port_that_is_no_number_is_named() -> None:
    with pytest.raises(SystemExit, match=r"^Port abc: it must be a number, such as 6544$"):
        on_port({"http_port": "abc"}, host="127.0.0.1", port="6543")
