"""The rules for session IDs: no bad end with all of them, and at least one without any single one of them."""

from __future__ import annotations

import pytest

from .bad_ends import BLANK, COOKIES, FIRST, SECOND, Scenario, elsewhere, explore, scenarios, thief
from .rules import Model, Rules

BROWSER = {
    "stale_gets_no_cookie": Scenario("anonymous", "login", "regenerate"),
    "stale_replaces_no_secret": Scenario("anonymous", "login", "regenerate"),
    "stale_login_starts_new": Scenario("anonymous", "login", "other"),
    "asked_endings_go_by_key": Scenario("logged in", "write", "logout"),
    "own_endings_go_by_version": Scenario("logged in", "password", "poll"),
    "own_endings_keep_the_cookie": Scenario("logged in", "password", "poll"),
    "replaced_cookie_opens_nothing": Scenario("anonymous", "login", "regenerate"),
    "replaced_cookie_gets_no_cookie": Scenario("anonymous", "write", "login"),
    "replaced_write_fails": Scenario("anonymous", "write", "login"),
    "replaced_logout_fails": Scenario("logged in", "logout", "regenerate"),
    "same_login_is_merged": Scenario("anonymous", "login", "login"),
    "later_login_keeps_its_fields": Scenario("logged in", "password", "password"),
    "login_survives_an_ending": Scenario("logged in", "password", "poll"),
    "other_user_starts_new": Scenario("anonymous", "login", "other"),
    "other_user_ends_the_old": Scenario("logged in", "other", "regenerate"),
    "login_times_increase": Scenario("anonymous", "read", "limit"),
    "new_key_is_derived": Scenario("blank", "write", "write"),
    "second_creator_merges": Scenario("blank", "write", "write"),
    "second_login_takes_contents": Scenario("blank", "write", "login"),
    "recent_counts_from_the_load": Scenario("blank", "write", "login"),
    "token_outlives_the_secret": Scenario("logged in", "regenerate", "form"),
    "blank_token_outlives_creation": Scenario("blank", "write", "form"),
}
OTHERS = {
    "stale_value_gives_way": Scenario("anonymous", "read", "login", thief("write", FIRST)),
    "stale_sees_nothing_new": Scenario("anonymous", "read", "login", thief("write", FIRST)),
    "stale_visitor_ends_no_login": Scenario("anonymous", "read", "login", thief("logout", FIRST)),
    "ended_session_takes_no_merge": Scenario("from a blank", "write", "logout", thief("write", BLANK)),
    "versions_never_repeat": Scenario("from a blank", "write", "logout", thief("write", BLANK)),
    "dead_key_stays_dead": Scenario("logged in", "login", "logout", thief("logout", SECOND)),
    "same_login_needs_the_old_secret": Scenario("logged in", "read", "login", thief("regenerate", SECOND)),
    "derived_key_after_a_taken_one": Scenario("blank", "write", "login", thief("write", BLANK)),
    "token_depends_on_login": Scenario("anonymous", "read", "login", thief("read", FIRST)),
    "token_of_closed_is_anonymous": Scenario("anonymous", "read", "login", thief("read", FIRST)),
    "own_endings_go_by_version": Scenario("logged in", "read", "limit", elsewhere("limit")),
}


def told(scenario: Scenario, ends: dict[str, list[str]]) -> list[str]:
    return [f"{scenario}\n  {what}:\n    " + "\n    ".join(steps) for what, steps in ends.items()]


@pytest.mark.exhaustive
@pytest.mark.parametrize("start", COOKIES)
def test_no_order_of_requests_comes_to_a_bad_end(start: str) -> None:
    found = []
    for scenario in scenarios(start):
        found += told(scenario, explore(Model(), scenario.world())[1])
    assert not found, "\n".join(found[:5])


@pytest.mark.parametrize(("rule", "scenario"), [*BROWSER.items(), *OTHERS.items()])
def test_each_rule_prevents_a_bad_end(rule: str, scenario: Scenario) -> None:
    assert not told(scenario, explore(Model(), scenario.world())[1])
    without = Model(Rules()._replace(**{rule: False}))
    ends = told(scenario, explore(without, scenario.world())[1])
    print("\n".join(ends))
    assert ends, f"{rule} can be taken out of {scenario}, and nothing bad comes of it"


def test_each_rule_is_tested() -> None:
    assert {*BROWSER, *OTHERS} == {*Rules._fields}
