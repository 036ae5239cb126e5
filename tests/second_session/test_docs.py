"""The pages on second sessions and on session classes do what they say."""

from __future__ import annotations

from typing import Any

from pyramid.request import Request
from pyramid.response import Response

from pyramid_sessionkit import get_sessions
from tests.conftest import SECRET
from tests.test_docs import application, module_of, named_blocks, scanned


def test_a_second_session() -> None:
    module = module_of("howto/second_session.rst", *named_blocks("howto/second_session.rst"))
    # The application of the other pages includes the package already.
    app = application(
        {"sessionkit.secret": SECRET},
        lambda config: config.add_session("basket"),
        scanned(module, put="/put"),
    )
    assert app.post("/put", {"item": "pears"}).json == {"items": ["pears"]}
    assert app.post("/put", {"item": "figs"}).json == {"items": ["pears", "figs"]}
    assert module.created == {"session": 1, "basket": 1}
    assert module.forget_old_baskets(app.app.registry) == 0
    assert sorted(app.cookies) == ["basket", "session"]


def test_its_includeme_adds_it(make_app: Any) -> None:
    module = module_of("howto/second_session.rst", "second-includeme")
    registry = make_app({}, configure=module.includeme).app.registry
    assert get_sessions(registry, "basket").settings.cookie.name == "basket"


def test_a_session_class_and_a_factory_around_ours(make_app: Any) -> None:
    module = module_of("howto/session_class.rst", "session-class", "session-factory")

    def add(request: Request) -> Response:
        request.session[0].add("pears")
        return Response(str(request.session[0].items_in_cart))

    app = make_app(
        {"/": add},
        configure=lambda config: module.wrap_sessions(config, lambda session: (session,)),
        session_class=module.ShopSession,
    )
    app.get("/")
    assert app.get("/").text == "2"
