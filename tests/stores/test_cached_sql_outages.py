"""Nodes of memcached that fail, and what they are told when they are back."""

from __future__ import annotations

import logging
import os
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pyramid_sessionkit.exceptions import StoreUnavailable
from pyramid_sessionkit.stores import resting_nodes
from pyramid_sessionkit.stores.resting_nodes import RestingNodes


class Nodes:
    """Two nodes, for keys that begin with their names. Those that are down give no answer."""

    def __init__(self) -> None:
        self.down: set[str] = set()
        self.calls: list[str] = []

    def node_of(self, key: str) -> str:
        return key[0]

    def call(self, key: str, command: Callable[[Any], Any], again: bool) -> Any:
        self.calls.append(key)
        if key[0] in self.down:
            raise StoreUnavailable(f"memcached at {key[0]} cannot be reached")
        return command(key[0])


@pytest.fixture
def nodes() -> Nodes:
    return Nodes()


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def resting(nodes: Nodes, told: list[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[RestingNodes]:
    monkeypatch.setattr(resting_nodes, "TELL_EVERY", 0.02)
    yield RestingNodes(nodes, lambda client, key: told.append(key) is None)  # type: ignore[arg-type]
    nodes.down.clear()


def answer(client: Any) -> str:
    return f"answer of {client}"


def until(condition: Callable[[], Any]) -> None:
    end = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < end, "it did not happen within five seconds"
        time.sleep(0.01)


def tellers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("tell ")]


def test_a_node_that_failed_is_left_alone(nodes: Nodes, resting: RestingNodes, monkeypatch: pytest.MonkeyPatch) -> None:
    nodes.down.add("a")
    assert resting.call("a1", answer) is None
    nodes.down.clear()
    assert resting.call("a2", answer) is None
    assert resting.call("b1", answer) == "answer of b"
    assert nodes.calls == ["a1", "b1"]
    now = time.monotonic()
    monkeypatch.setattr(resting_nodes, "monotonic", lambda: now + resting_nodes.PAUSE_AFTER_FAILURE + 1)
    assert resting.call("a3", answer) == "answer of a"


def test_an_ending_tries_it_nevertheless(nodes: Nodes, resting: RestingNodes) -> None:
    nodes.down.add("a")
    resting.call("a1", answer)
    nodes.down.clear()
    assert resting.call("a1", answer, even_if_resting=True) == "answer of a"


def test_a_node_is_told_though_no_request_comes(nodes: Nodes, resting: RestingNodes, told: list[str]) -> None:
    nodes.down.update("ab")
    for key in ("a1", "b1", "a2"):
        assert resting.call(key, answer) is None
        resting.owe(key)
    time.sleep(0.1)
    assert told == []
    nodes.down.clear()
    until(lambda: sorted(told) == ["a1", "a2", "b1"] and not tellers())
    assert resting.call("a1", answer) == "answer of a"


def test_it_is_not_used_before_it_is_told(nodes: Nodes, resting: RestingNodes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resting_nodes, "PAUSE_AFTER_FAILURE", 0.0)
    monkeypatch.setattr(resting, "_start_telling", lambda *_: None)
    nodes.down.add("a")
    resting.call("a1", answer)
    resting.owe("a1")
    nodes.down.clear()
    assert resting.call("a2", answer) is None
    assert resting.tell("a")
    assert resting.call("a2", answer) == "answer of a"


def test_a_key_that_changes_while_it_is_told_is_told_again(nodes: Nodes) -> None:
    told: list[str] = []

    def tell(client: Any, key: str) -> bool:
        told.append(key)
        if len(told) == 1:
            resting.owe("a1")
        return True

    resting = RestingNodes(nodes, tell)  # type: ignore[arg-type]
    resting._start_telling = lambda *_: None  # type: ignore[method-assign]
    resting.owe("a1")
    assert resting.tell("a")
    assert told == ["a1", "a1"]
    assert resting.tell("a")
    assert resting.tell("b")


def test_one_that_cannot_be_told_yet_is_tried_again(nodes: Nodes) -> None:
    tries: list[str] = []

    def tell(client: Any, key: str) -> bool:
        tries.append(key)
        if len(tries) == 1:
            raise ValueError("whatever it is, the thread goes on")
        return len(tries) > 2

    resting = RestingNodes(nodes, tell)  # type: ignore[arg-type]
    resting._start_telling = lambda *_: None  # type: ignore[method-assign]
    resting.owe("a1")
    assert [resting.tell("a") for _ in range(3)] == [False, False, True]


def test_the_oldest_are_forgotten_beyond_a_bound(
    nodes: Nodes, resting: RestingNodes, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resting_nodes, "MOST_UNTOLD", 3)
    monkeypatch.setattr(resting, "_start_telling", lambda *_: None)
    for key in ("a1", "a2", "a3", "a1", "a4"):
        resting.owe(key)
    assert resting.tell("a")
    assert told == ["a3", "a1", "a4"]


def test_the_thread_ends_when_nobody_uses_the_nodes(nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resting_nodes, "TELL_EVERY", 0.02)
    nodes.down.add("a")
    resting = RestingNodes(nodes, lambda client, key: True)  # type: ignore[arg-type]
    resting.owe("a1")
    assert tellers()
    del resting
    until(lambda: not tellers())


def test_where_no_thread_can_start_the_next_request_tries(
    nodes: Nodes, resting: RestingNodes, told: list[str], monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        resting.owe("a1")
    assert "can't start new thread" in caplog.text
    assert resting.call("a1", answer) is None
    until(lambda: told == ["a1"])


def test_a_forked_process_tells_what_it_knows(nodes: Nodes, resting: RestingNodes, told: list[str]) -> None:
    nodes.down.add("a")
    resting.owe("a1")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forking where there are threads
        pid = os.fork()
    if not pid:
        status = 1
        try:
            resting.owe("a2")
            nodes.down.clear()
            until(lambda: told == ["a1", "a2"])
            status = 0
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert told == []
    nodes.down.clear()
    until(lambda: told == ["a1"])


def test_it_is_logged_once_a_minute(nodes: Nodes, resting: RestingNodes, caplog: Any, monkeypatch: Any) -> None:
    caplog.set_level(logging.WARNING)
    nodes.down.add("a")
    for _ in range(3):
        resting.call("a1", answer, even_if_resting=True)
    assert caplog.text.count("Sessions are read from the database, since memcached at a cannot be reached") == 1
    now = time.monotonic()
    monkeypatch.setattr(resting_nodes, "monotonic", lambda: now + 61)
    resting.call("a1", answer, even_if_resting=True)
    assert caplog.text.count("Sessions are read from the database") == 2
