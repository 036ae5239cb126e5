"""A process with one application. It runs requests when it is asked to, and answers with how long they took.

One process each, so that Django's settings, another library's threads and its garbage are nobody else's.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from benchmarks.compare import catalogue

ANSWER = "\x1eanswer "
"""What the lines begin with that are for the parent: a library may print others."""


class Browser:
    """Sends requests to an application, and keeps its cookie."""

    def __init__(self, app: Any, cookie: str = "") -> None:
        self._app = app
        self.cookie = cookie

    def get(self, path: str, query: str = "") -> tuple[int, str]:
        sent: list[Any] = []
        environ = {**environ_of(path, self.cookie), "QUERY_STRING": query}
        body = run(self._app, environ, lambda status, headers, exc_info=None: sent.extend((status, headers)))
        for name, value in sent[1]:
            if name.lower() == "set-cookie":
                self.cookie = value.partition(";")[0]
        return int(sent[0].split()[0]), body.decode()


def environ_of(path: str, cookie: str) -> dict[str, Any]:
    from io import BytesIO

    environ = {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "localhost",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": BytesIO(),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    return {**environ, "HTTP_COOKIE": cookie} if cookie else environ


def run(app: Any, environ: dict[str, Any], start_response: Callable[..., Any]) -> bytes:
    """As a server does: the answer is read to its end and closed, where Django gives its connections back."""
    answer = app(environ, start_response)
    try:
        return b"".join(answer)
    finally:
        close = getattr(answer, "close", None)
        if close is not None:
            close()


class Commands:
    """What the parent may ask."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self._cookies: dict[str, str] = {"": ""}

    def fill(self) -> str:
        """Make a session, see that it keeps what is put into it, and remember its cookie."""
        browser = Browser(self._app)
        expected = {"/fill": "", "/read": "ada", "/change": "ok"}
        for path, text in expected.items():
            status, body = browser.get(path)
            if status != 200 or text not in body:
                raise RuntimeError(f"{path} answered {status}, {body[:80]!r}")
        self._cookies["filled"] = browser.cookie
        return browser.cookie

    def time(self, path: str, cookie: str, count: int) -> float:
        """Seconds for a request, over ``count`` of them in a row."""
        environ, app = environ_of(path, self._cookies[cookie]), self._app

        def start_response(status: str, headers: Any, exc_info: Any = None) -> None:
            pass

        started = time.perf_counter()
        for _ in range(count):
            run(app, dict(environ), start_response)
        return (time.perf_counter() - started) / count

    def write(self, threads: int, shared: bool, seconds: float) -> dict[str, float]:
        """Threads that each count in a number of their own, in one session or each in theirs: what was answered, and
        what is there. The same few lines in each library: two requests never write the same number."""
        first = Browser(self._app)
        first.get("/fill")
        browsers = [first] * threads if shared else [Browser(self._app) for _ in range(threads)]
        for browser in browsers:
            if not shared:
                browser.get("/fill")
        answered, refused = [0] * threads, [0] * threads
        barrier, stop = threading.Barrier(threads + 1), threading.Event()

        def add(number: int) -> None:
            # A thread's connections are not what is measured.
            browsers[number].get("/read")
            barrier.wait()
            while not stop.is_set():
                try:
                    status, _ = browsers[number].get("/add", f"who={number}")
                except Exception:  # as a server, which answers 500
                    status = 500
                (answered if status == 200 else refused)[number] += 1

        running = [threading.Thread(target=add, args=(number,)) for number in range(threads)]
        for thread in running:
            thread.start()
        barrier.wait()
        started = time.perf_counter()
        time.sleep(seconds)
        stop.set()
        for thread in running:
            thread.join()
        took = time.perf_counter() - started
        kept = [int(browser.get("/count")[1]) for browser in ([first] if shared else browsers)]
        return {"answered": sum(answered), "refused": sum(refused), "kept": sum(kept), "seconds": took}


class Worker:
    """The parent's end of it. A method of :class:`Commands` is a method here."""

    def __init__(self, app: catalogue.App, addresses: dict[str, str]) -> None:
        self.app = app
        command = [sys.executable, "-m", "benchmarks.compare.worker", json.dumps(app[:3]), json.dumps(addresses)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self._errors: list[str] = []
        self._reading = threading.Thread(target=self._read_errors, daemon=True)
        self._reading.start()
        self._answer()

    def ask(self, command: str, *arguments: Any) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([command, *arguments]) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reading.join(5)
        for stream in (self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith(ANSWER):
                return json.loads(line.removeprefix(ANSWER))
        self._process.wait()
        self._reading.join(5)
        raise RuntimeError(next((line for line in reversed(self._errors) if line.strip()), "it ended"))

    def _read_errors(self) -> None:
        assert self._process.stderr is not None
        self._errors.extend(line.rstrip() for line in self._process.stderr)


def _tried(app: catalogue.App, addresses: dict[str, str]) -> Worker:
    """One whose views answer what they should."""
    worker = Worker(app, addresses)
    try:
        if not app.bare:
            worker.ask("fill")
    except RuntimeError:
        worker.close()
        raise
    return worker


@contextmanager
def workers(apps: list[catalogue.App], addresses: dict[str, str], say: Callable[[str], None]) -> Iterator[list[Worker]]:
    """One for each application that can be made; a line for each that cannot."""
    started = []
    try:
        for app in apps:
            try:
                worker = _tried(app, addresses)
            except RuntimeError as error:
                say(f"left out: {app.name}: {error}")
                continue
            started.append(worker)
        yield started
    finally:
        for worker in started:
            worker.close()


def main() -> None:
    """Answer the parent's commands until it closes the pipe. An exception ends the process: the parent reports it."""
    library, store, framework = json.loads(sys.argv[1])
    commands = Commands(catalogue.find(library, store, framework).make(json.loads(sys.argv[2])))
    _say(None)
    for line in sys.stdin:
        command, *arguments = json.loads(line)
        _say(getattr(commands, command)(*arguments))


def _say(answer: Any) -> None:
    print(f"{ANSWER}{json.dumps(answer)}", flush=True)


if __name__ == "__main__":
    main()
