"""Ask a resolver over HTTPS, and fetch pages for plugins.

Spec: RFC 8484 (DNS over HTTPS): POST with the message as body, or GET with it in base64url.
"""

import asyncio
import base64
from collections.abc import Callable, Coroutine
from typing import Any

import aiohttp

from svcdns.aio.addresses import joined
from svcdns.aio.exchange_stream import client_context, tls_reason
from svcdns.dns.constants import MAX_MESSAGE
from svcdns.dns.matching import answers, question_end
from svcdns.hostport import host_port
from svcdns.plugins.commands import Exchange, Exchanged, Fetch, Result, Unanswered

Done = Callable[[Result], None]

_HTTPS_PORT = 443

MESSAGE_TYPE = "application/dns-message"
"""RFC 8484 §6."""

MAX_PAGE = 16 << 20
"""Octets of a fetched page."""


class HttpExchanges:
    """All HTTP requests under way; one session, made at first use."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._session: aiohttp.ClientSession | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, command: Exchange | Fetch, done: Done) -> None:
        """Send the request; *done* is called once."""
        work = self._exchange(command) if isinstance(command, Exchange) else self._fetch(command)
        task = self._loop.create_task(self._report(work, command.timeout, done))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Drop what is under way and close the connections."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._session:
            await self._session.close()

    async def _report(self, work: Coroutine[Any, Any, Result], seconds: float, done: Done) -> None:
        try:
            async with asyncio.timeout(seconds):
                result = await work
        except TimeoutError:
            result = Unanswered("http: i/o timeout", timeout=True)
        except aiohttp.ClientConnectorError as error:
            # Port 0 is one that nobody can be asked at (``health :``).
            port = _HTTPS_PORT if error.port is None else error.port
            text = tls_reason(error.os_error)
            result = Unanswered(f"dial tcp {host_port(error.host, port)}: {text}")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            result = Unanswered(f"http: {tls_reason(error)}")
        done(result)

    async def _exchange(self, exchange: Exchange) -> Result:
        upstream = exchange.upstream
        started = self._loop.time()
        url = f"https://{joined(upstream)}{upstream.url_path}"
        headers = {"Accept": MESSAGE_TYPE}
        body = None
        if upstream.method == "GET":
            text = base64.urlsafe_b64encode(exchange.wire).rstrip(b"=").decode()
            url += f"?dns={text}"
        else:
            body = exchange.wire
            headers["Content-Type"] = MESSAGE_TYPE
        if upstream.server_name:
            headers["Host"] = upstream.server_name
        async with self._client().request(
            upstream.method,
            url,
            data=body,
            headers=headers,
            ssl=client_context(upstream.tls),
            server_hostname=upstream.server_name or None,
            allow_redirects=False,
        ) as response:
            if response.status != 200:
                return Unanswered(f"{url.partition('?')[0]}: HTTP status {response.status}")
            message = await _limited(response, MAX_MESSAGE)
        if not answers(exchange.wire, question_end(exchange.wire), message):
            return Unanswered(f"{url.partition('?')[0]}: the answer does not match the query")
        return Exchanged(message, self._loop.time() - started)

    async def _fetch(self, fetch: Fetch) -> Result:
        started = self._loop.time()
        secure = fetch.url.startswith("https:")
        async with self._client().request(
            fetch.method,
            fetch.url,
            data=fetch.body or None,
            headers=dict(fetch.headers),
            ssl=client_context(fetch.tls) if secure else True,
        ) as response:
            page = await _limited(response, MAX_PAGE)
            return Exchanged(page, self._loop.time() - started, response.status)

    def _client(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=256, limit_per_host=64, keepalive_timeout=30),
                timeout=aiohttp.ClientTimeout(total=None),  # every command brings its own
                auto_decompress=False,
            )
        return self._session


async def _limited(response: aiohttp.ClientResponse, limit: int) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > limit:
            raise ValueError(f"the answer has more than {limit} octets")
    return bytes(body)
