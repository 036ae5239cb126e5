"""The sessions of Django, ready to be adopted."""

from pyramid_sessionkit.adoption.django.sessions import DjangoSessions, django_sessions

__all__ = ["DjangoSessions", "django_sessions"]
