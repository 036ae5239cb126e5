"""Mistakes in ``sessionkit.redis.url`` that only the server notices: the error says what to do."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pyramid_sessionkit import StoreError, StoreUnavailable
from pyramid_sessionkit.stores.redis import RedisStore
from pyramid_sessionkit.testing.conformance import KEY
from tests.servers.redis import Redis

pytestmark = pytest.mark.servers


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    with Redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.mark.parametrize(
    ("url", "what_to_do"),
    [
        ("redis://127.0.0.1:{port}/99", "has no database of this number"),
        ("redis+cluster://127.0.0.1:{port}", r"not a Cluster: sessionkit\.redis\.url has to begin with redis://"),
        (
            "redis+sentinel://127.0.0.1:{port}/mymaster",
            r"not a Sentinel: .* begin sessionkit\.redis\.url with redis://",
        ),
    ],
    ids=["database", "cluster", "sentinel"],
)
def test_a_wrong_url_is_an_error_that_says_what_to_do(server: Redis, url: str, what_to_do: str) -> None:
    with pytest.raises(StoreError, match=what_to_do) as caught:
        RedisStore(url.format(port=server.port)).load(KEY)
    assert not isinstance(caught.value, StoreUnavailable)
