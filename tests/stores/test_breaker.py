"""After time-outs in a row requests fail at once, for a moment."""

from __future__ import annotations

import logging

import pytest
from pyramid.request import Request
from pyramid.response import Response

from pyramid_sessionkit.exceptions import StoreUnavailable
from pyramid_sessionkit.outage import mark
from pyramid_sessionkit.stores.breaker import IN_A_ROW, PAUSE, Breaker


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    return Breaker(clock)


def asks(breaker: Breaker) -> bool:
    """Whether a request may ask, and gets no answer to count."""
    try:
        with breaker.permission():
            return True
    except StoreUnavailable:
        return False


def times_out(breaker: Breaker, clock: Clock, count: int = 1) -> None:
    for _ in range(count):
        breaker.timed_out(clock.now)


def test_one_timeout_stops_nobody(breaker: Breaker, clock: Clock) -> None:
    times_out(breaker, clock, IN_A_ROW - 1)
    assert asks(breaker)


def test_the_second_in_a_row_does_for_a_moment(breaker: Breaker, clock: Clock) -> None:
    times_out(breaker, clock, IN_A_ROW)
    with pytest.raises(StoreUnavailable, match="did not answer 2 times in a row"), breaker.permission():
        pass
    clock.now += PAUSE
    assert asks(breaker)


def test_an_answer_between_them_counts(breaker: Breaker, clock: Clock) -> None:
    for _ in range(5):
        times_out(breaker, clock)
        breaker.close()
    assert asks(breaker)


def test_one_locked_row_stops_nobody_while_others_get_answers(breaker: Breaker, clock: Clock) -> None:
    asked_at = clock.now
    clock.now += 4
    breaker.answered_at = clock.now - 1
    for _ in range(5):
        breaker.timed_out(asked_at)
    assert asks(breaker)


def test_an_answer_to_an_earlier_question_proves_nothing(breaker: Breaker, clock: Clock) -> None:
    breaker.answered_at = clock.now - 1
    times_out(breaker, clock, IN_A_ROW)
    assert not asks(breaker)


def test_then_one_at_a_time_tries(breaker: Breaker, clock: Clock) -> None:
    times_out(breaker, clock, IN_A_ROW)
    clock.now += PAUSE
    with breaker.permission():
        assert not asks(breaker)
    assert asks(breaker)


def test_another_timeout_means_another_pause(breaker: Breaker, clock: Clock) -> None:
    times_out(breaker, clock, IN_A_ROW)
    clock.now += PAUSE
    with breaker.permission():
        clock.now += 5
        times_out(breaker, clock)
    assert not asks(breaker)
    clock.now += PAUSE
    assert asks(breaker)


def test_an_answer_opens_it_to_all(breaker: Breaker, clock: Clock) -> None:
    times_out(breaker, clock, IN_A_ROW)
    clock.now += PAUSE
    with breaker.permission():
        breaker.close()
        assert asks(breaker)


def test_who_tries_and_is_interrupted_lets_the_next_one_try(breaker: Breaker, clock: Clock) -> None:
    times_out(breaker, clock, IN_A_ROW)
    clock.now += PAUSE
    with pytest.raises(KeyboardInterrupt), breaker.permission():
        raise KeyboardInterrupt
    assert asks(breaker)


def test_refusals_do_not_fill_the_log(breaker: Breaker, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    request = Request.blank("/account")
    for timeouts in (2, 1):
        times_out(breaker, clock, timeouts)
        for _ in range(100):
            with pytest.raises(StoreUnavailable) as refused, breaker.permission():
                pass
            mark(request, Response(status=503), refused.value, False)
    told = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    assert [" ".join(text.split()[6:11]) for text in told] == ["did not answer 2 times", "did not answer 3 times"]


def test_who_is_interrupted_when_it_may_try_lets_the_next_one_try(breaker: Breaker, clock: Clock) -> None:
    times_out(breaker, clock, IN_A_ROW)
    clock.now += PAUSE
    take_ticket = breaker._take_ticket

    def interrupted() -> None:
        take_ticket()
        raise KeyboardInterrupt

    breaker._take_ticket = interrupted  # type: ignore[assignment,method-assign]
    with pytest.raises(KeyboardInterrupt), breaker.permission():
        pass
    breaker._take_ticket = take_ticket  # type: ignore[method-assign]
    assert asks(breaker)
