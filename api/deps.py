"""The dependencies of the routes: the service of their application."""

from typing import Annotated

from fastapi import Depends, Request

from safeurl.service import Service


def _service(request: Request) -> Service:
    service = request.app.state.service
    if not isinstance(service, Service):
        raise TypeError("The application was made without a service.")
    return service


ServiceOf = Annotated[Service, Depends(_service)]
