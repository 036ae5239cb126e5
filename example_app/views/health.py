"""For a load balancer: this process answers. Needs neither session nor database, so an outage restarts nothing."""

from pyramid.request import Request
from pyramid.view import view_config


@view_config(route_name="health", request_method="GET", renderer="json")
def health(request: Request) -> dict[str, str]:
    return {"status": "ok"}
