"""One port for both protocols: HTTP goes to the WSGI stack in a bounded thread pool, websockets to Channels."""

import sys

from channels.routing import ProtocolTypeRouter, URLRouter
from django.conf import settings

from config.http_threads import HTTPThreads
from config.wsgi import application as wsgi_application

HTTP_THREADS = 8

# After config.wsgi, which loads the applications: consumers import models.
from config.body_limit import limit_bodies  # noqa: E402
from config.websocket import websocket_urlpatterns  # noqa: E402

http = HTTPThreads(wsgi_application, threads=HTTP_THREADS)
if reactor := sys.modules.get("twisted.internet.reactor"):
    # It is Daphne's, which serves us.
    http.drain_before_shutdown(reactor)
    limit_bodies(settings.DATA_UPLOAD_MAX_MEMORY_SIZE)

application = ProtocolTypeRouter(
    {
        "http": http,
        "websocket": URLRouter(websocket_urlpatterns),
    },
)
