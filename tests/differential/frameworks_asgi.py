"""Starlette, for uvicorn: frameworks_asgi:app."""

import base64

from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Host, Route, Router

METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


def route(rule, name):
    async def answer(request):
        read = base64.b64encode(request.scope["path"].encode("utf-8", "surrogateescape")).decode()
        return Response("", headers={"X-Handler": name, "X-Path": read, "X-Method": request.method})

    return Route(rule, answer, methods=METHODS)


async def other(scope, receive, send):
    await route("/", "other").app(scope, receive, send)


guarded = Router(default=route("/", "host").app)
app = Starlette(routes=[
    Host("admin.test", guarded),
    route("/admin", "admin"),
    route("/admin/{rest:path}", "below"),
    route("/auth", "auth"),
    route("/public", "public"),
    route("/public/{rest:path}", "public"),
])
app.router.default = other
app.router.redirect_slashes = False
