"""One port for both protocols: HTTP goes to the WSGI stack in a bounded thread pool, websockets to Channels."""

from channels.routing import ProtocolTypeRouter, URLRouter

from config.http_threads import HTTPThreads
from config.wsgi import application as wsgi_application

HTTP_THREADS = 8

# After config.wsgi, which loads the applications: consumers import models.
from config.websocket import websocket_urlpatterns  # noqa: E402

application = ProtocolTypeRouter(
    {
        "http": HTTPThreads(wsgi_application, threads=HTTP_THREADS),
        "websocket": URLRouter(websocket_urlpatterns),
    },
)
