"""Flask, Django and Bottle, for gunicorn: frameworks_wsgi:flask_app and so on."""

import base64
import re

import bottle
import django
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpResponse
from django.urls import path, re_path
from flask import Flask, Response, request

GUARDED_HOST = "admin.test"


def seen(handler, read, method):
    """What a handler says: its name, and the path and method as it read them."""
    read = base64.b64encode(read.encode("utf-8", "surrogateescape")).decode()
    return {"X-Handler": handler, "X-Path": read, "X-Method": method}


# Flask.
flask_app = Flask(__name__)
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


def flask_route(rule, name):
    def answer(**_):
        handler = "host" if request.host.split(":")[0] == GUARDED_HOST else name
        return Response("", headers=seen(handler, request.path, request.method))

    flask_app.add_url_rule(rule, f"{name} {rule}", answer, methods=METHODS, provide_automatic_options=False)


flask_route("/admin", "admin")
flask_route("/admin/<path:rest>", "below")
flask_route("/auth", "auth")
flask_route("/public", "public")
flask_route("/public/<path:rest>", "public")
flask_route("/", "other")
flask_route("/<path:rest>", "other")

# Django.
settings.configure(
    ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, USE_X_FORWARDED_HOST=True, APPEND_SLASH=False, MIDDLEWARE=[], SECRET_KEY="none"
)


def django_view(name):
    def answer(request, **_):
        handler = "host" if request.get_host().split(":")[0] == GUARDED_HOST else name
        return HttpResponse("", headers=seen(handler, request.path_info, request.method))

    return answer


urlpatterns = [
    path("admin", django_view("admin")),
    path("admin/<path:rest>", django_view("below")),
    re_path(r"^auth$", django_view("auth")),
    re_path(r"^public(/|$)", lambda request, *_: django_view("public")(request)),
    re_path(r"(?s).*", django_view("other")),
]
django.setup()
django_app = WSGIHandler()

# Bottle.
bottle_app = bottle.Bottle()


def bottle_route(rule, name):
    def answer(**_):
        host = bottle.request.urlparts.netloc.split(":")[0]
        read = bottle.request.path
        bottle.response.headers.update(seen("host" if host == GUARDED_HOST else name, read, bottle.request.method))
        return ""

    bottle_app.route(rule, METHODS, answer)


bottle_route("/admin", "admin")
bottle_route("/admin/<rest:path>", "below")
bottle_route("/auth", "auth")
bottle_route("/public", "public")
bottle_route("/public/<rest:path>", "public")
bottle_route("/<rest:re:(?s:.*)>", "other")

# No framework: the path that the server decoded, by expression, behind the usual middleware for a prefix.


def plain_app(environ, start):
    script = environ.get("HTTP_X_SCRIPT_NAME", "")
    read = environ["PATH_INFO"]
    if script and read.startswith(script):
        read = read[len(script):]
    host = environ.get("HTTP_X_FORWARDED_HOST", environ.get("HTTP_HOST", "")).split(":")[0]
    handler = "other"
    for name, pattern in (("admin", "^/admin$"), ("below", "^/admin/"), ("auth", "^/auth$"), ("public", "^/public(/|$)")):
        if re.search(pattern, read):
            handler = name
            break
    method = environ.get("HTTP_X_HTTP_METHOD_OVERRIDE", environ["REQUEST_METHOD"])
    headers = seen("host" if host == GUARDED_HOST else handler, read.encode("latin-1").decode("utf-8", "surrogateescape"), method)
    start("200 OK", [*headers.items(), ("Content-Length", "0")])
    return [b""]
