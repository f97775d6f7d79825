"""A proxy before PostgreSQL that cuts a connection right before or after a commit."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from tcp_proxy import listening, pump

COMMIT = b"COMMIT\0"

Reader = asyncio.StreamReader


@dataclass
class Proxy:
    """What it does with the next commits, and what it did.

    Attributes:
        port: where it listens.
        lose_answer: cut the next commits after the server has them.
        lose_request: cut the next commits before the server has them.
        cut: how many connections it has cut.
    """

    port: int = 0
    lose_answer: int = 0
    lose_request: int = 0
    cut: int = 0

    async def serve(self, target_port: int, client: asyncio.StreamWriter, read: Reader) -> None:
        """Pass bytes on in both ways until one side ends or a commit is cut."""
        answers, server = await asyncio.open_connection("127.0.0.1", target_port)
        back = asyncio.create_task(pump(answers, client))
        try:
            while data := await read.read(65536):
                if COMMIT in data and self.lose_request:
                    self.lose_request -= 1
                    self.cut += 1
                    return None
                if COMMIT in data and self.lose_answer:
                    self.lose_answer -= 1
                    self.cut += 1
                    await _stop(back)
                    server.write(data)
                    return await _let_it_happen(read, server, answers)
                server.write(data)
                await server.drain()
        except ConnectionError:
            return None
        finally:
            back.cancel()
            client.close()
            server.close()


async def _let_it_happen(read: Reader, server: asyncio.StreamWriter, answers: Reader) -> None:
    """Pass on the rest of what was sent until the server has answered: then it is committed."""
    rest = asyncio.create_task(pump(read, server))
    await answers.read(1)
    await _stop(rest)


async def _stop(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def cutting_proxy(target_port: int) -> AsyncIterator[Proxy]:
    """Run a proxy before a server on this machine."""
    proxy = Proxy()
    async with listening(lambda read, client: proxy.serve(target_port, client, read)) as port:
        proxy.port = port
        yield proxy
