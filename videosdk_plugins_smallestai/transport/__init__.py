"""Ways to the service: WebSocket and HTTP.

`base.py` is what a reply knows of this package: calls, and the events that answer them. `transports.py` makes a
reply's transport, which is one of three:

===========  ==================  =====================================  ========================================
route        the transport       one connection                         what keeps it between replies
===========  ==================  =====================================  ========================================
WebSocket    ``websocket.py``    ``connection.py``, a ``Wire``          ``keeper.py``
v4           ``live.py``         ``live_session.py``, a ``Wire``        ``session_keeper.py``
HTTP         ``http.py``         aiohttp's                              aiohttp's pool, in ``session.py``
===========  ==================  =====================================  ========================================

Two things are called a session: `Session` in ``session.py`` is the address, the key and aiohttp's session, of all
three; `LiveSession` is one of Lightning v4. ``wire.py`` is an open WebSocket, whichever of the two speaks on it.
"""
