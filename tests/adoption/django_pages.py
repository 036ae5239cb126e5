"""The pages of the old site, a project of Django."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib.auth import authenticate, login, logout
from django.http import JsonResponse
from django.urls import path


def log_in(request: Any) -> Any:
    login(request, authenticate(request, username=request.GET["name"], password=request.GET["password"]))
    return JsonResponse({})


def put(request: Any) -> Any:
    request.session["cart"] = [request.GET.get("fruit", "apples")]
    request.session["_csrftoken"] = "of Django"
    return JsonResponse({})


def expire(request: Any) -> Any:
    at = request.GET["at"]
    request.session.set_expiry(timedelta(days=30) if at == "date" else int(at))
    return JsonResponse({})


def log_out(request: Any) -> Any:
    logout(request)
    return JsonResponse({})


def show(request: Any) -> Any:
    return JsonResponse({"cart": request.session.get("cart"), "user": request.user.username})


VIEWS = {"login": log_in, "put": put, "expire": expire, "logout": log_out, "show": show}
urlpatterns = [path(name, view) for name, view in VIEWS.items()]
