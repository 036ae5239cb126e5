"""The store ``redis``. ``store`` is where to begin to read; the other files are parts of it."""

from pyramid_sessionkit.stores.redis.store import RedisStore, from_settings

__all__ = ["RedisStore", "from_settings"]
