"""A proxy before PostgreSQL that treats the settings of a session as poolers of connections do."""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import StrEnum
from functools import partial

from tcp_proxy import listening, pump

_SSL_REQUEST = struct.pack("!ii", 8, 80877103)
_REFUSAL = b"SFATAL\0C08P01\0Munsupported startup parameter: options\0\0"

Reader = asyncio.StreamReader
Writer = asyncio.StreamWriter


class Way(StrEnum):
    """What a pooler does with settings that a client sends as it connects."""

    REFUSE = "refuse"
    """It takes no such client, as PgBouncer by itself."""
    IGNORE = "ignore"
    """It keeps them to itself, as PgBouncer with ``ignore_startup_parameters = options``."""


@asynccontextmanager
async def pooler(target_port: int, way: Way) -> AsyncIterator[int]:
    """Run one before a server on this machine; yield where it listens."""
    async with listening(partial(_serve, target_port, way)) as port:
        yield port


async def _serve(target_port: int, way: Way, read: Reader, client: Writer) -> None:
    answers, server = await asyncio.open_connection("127.0.0.1", target_port)
    try:
        startup = await _startup(read, client)
        if way is Way.REFUSE:
            client.write(b"E" + struct.pack("!i", 4 + len(_REFUSAL)) + _REFUSAL)
            return
        server.write(_without_options(startup))
        await asyncio.gather(pump(read, server), pump(answers, client))
    finally:
        client.close()
        server.close()


async def _startup(read: Reader, client: Writer) -> bytes:
    """Return what a client sends as it connects, after it was told that there is no TLS."""
    while True:
        head = await read.readexactly(8)
        if head != _SSL_REQUEST:
            return head + await read.readexactly(struct.unpack("!i", head[:4])[0] - 8)
        client.write(b"N")


def _without_options(startup: bytes) -> bytes:
    version, words = startup[4:8], startup[8:].rstrip(b"\0").split(b"\0")
    pairs = zip(words[::2], words[1::2], strict=True)
    kept = b"".join(b"%s\0%s\0" % pair for pair in pairs if pair[0] != b"options") + b"\0"
    return struct.pack("!i", 8 + len(kept)) + version + kept
