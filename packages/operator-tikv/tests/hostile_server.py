"""A server on loopback that answers as no PD should: slowly, hugely, or not at all."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

STORES = json.dumps({"count": 0, "stores": []}).encode()
HUGE_BYTES = 64 << 20


def response(body: bytes, status: str = "200 OK", **headers: str) -> bytes:
    """One whole answer; `_` in the name of a header stands for `-`."""
    fields = {"Content-Length": str(len(body)), "Connection": "close"}
    fields |= {name.replace("_", "-"): value for name, value in headers.items()}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 {status}\r\n{head}\r\n".encode() + body


class Server:
    """Answers each request in one way, and keeps the request lines."""

    def __init__(self, behave: Any) -> None:  # noqa: ANN401 - bytes, or what writes them
        self.behave = behave
        self.requests: list[str] = []
        self.url = ""
        self._running: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take one connection; see `asyncio.start_server`."""
        task = asyncio.current_task()
        assert task is not None
        self._running.add(task)
        try:
            await self._answer(reader, writer)
        finally:
            writer.transport.abort()
            self._running.discard(task)

    async def stop(self) -> None:
        """End what still runs."""
        await _settle()  # who has just come in is served, or nobody would hang up on him
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        await _settle()  # an abort closes the socket a moment later

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            self.requests.append(head.split(b"\r\n")[0].decode())
            if isinstance(self.behave, bytes):
                writer.write(self.behave)
                await writer.drain()
            else:
                await self.behave(writer)
            writer.close()
            await writer.wait_closed()


@asynccontextmanager
async def serving(behave: Any) -> AsyncIterator[Server]:  # noqa: ANN401 - see Server
    """Run a server until the block ends."""
    made = Server(behave)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield made
    finally:
        server.close()
        await made.stop()
        await server.wait_closed()


async def _settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def hang(writer: asyncio.StreamWriter) -> None:
    """Take the request and say nothing."""
    del writer
    await asyncio.sleep(30)


async def trickle(writer: asyncio.StreamWriter) -> None:
    """Send a byte now and then, so that the line is never silent."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    for _ in range(600):
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.05)


async def flood(writer: asyncio.StreamWriter) -> None:
    """Send much more than anybody wants."""
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in range(HUGE_BYTES >> 16):
        writer.write(b"10000\r\n" + b" " * (1 << 16) + b"\r\n")
        await writer.drain()


async def cut(writer: asyncio.StreamWriter) -> None:
    """Break off in the middle of the body."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n{")
    await writer.drain()


async def reset(writer: asyncio.StreamWriter) -> None:
    """Close without a word."""
    writer.transport.abort()


HOSTILE: dict[str, Any] = {
    "hang": hang,
    "trickle": trickle,
    "flood": flood,
    "cut": cut,
    "reset": reset,
    "redirect": response(b"", "307 Temporary Redirect", Location="http://127.0.0.1:1/"),
    "redirect to itself": response(b"", "301 Moved Permanently", Location="/pd/api/v1/stores"),
    "html": response(b"<html>login</html>", Content_Type="text/html"),
    "empty": response(b""),
    "no http": b"SSH-2.0-OpenSSH_9.6\r\n",
    "packed bomb": response(gzip.compress(b" " * HUGE_BYTES), Content_Encoding="gzip"),
    "badly packed": response(b"no gzip at all", Content_Encoding="gzip"),
    "no leader": response(
        b'"[PD:apiutil:ErrRedirectNoLeader]redirect finds no leader"', "503 Service Unavailable"
    ),
    "endless header": b"HTTP/1.1 200 OK\r\nX: " + b"x" * (1 << 20),
}
