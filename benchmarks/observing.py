"""What a look at a very large TiKV cluster costs, beside downloading its regions.

    .venv/bin/python -m benchmarks.observing
    .venv/bin/python -m benchmarks.observing --stores 100 --regions 50000

A static server answers like the PD of such a cluster. Each measurement is a process of its
own. The download only holds the bytes of `/regions`; what decoding them takes is told beside it.
"""

import argparse
import asyncio
import json
import resource
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from benchmarks.large_pd import Scale, started

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
MIB = 1 << 20


class Counting(httpx.AsyncBaseTransport):
    """Counts the bytes of bodies as they are read."""

    def __init__(self) -> None:
        self._real = httpx.AsyncHTTPTransport()
        self.read_bytes = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Pass a request on and watch its answer."""
        response = await self._real.handle_async_request(request)
        response.stream = Watched(response.stream, self)
        return response


class Watched(httpx.AsyncByteStream):
    """A body that tells how much of it was read."""

    def __init__(self, stream: Any, counting: Counting) -> None:  # noqa: ANN401 - httpx's own
        self._stream = stream
        self._counting = counting

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the pieces."""
        async for piece in self._stream:
            self._counting.read_bytes += len(piece)
            yield piece

    async def aclose(self) -> None:
        """Close the body."""
        await self._stream.aclose()


async def look(url: str, looks: int) -> dict[str, float]:
    """Look at the cluster several times; the last look is timed."""
    from operator_core.clock import SYSTEM_CLOCK  # noqa: PLC0415 - a child loads its own only
    from operator_tikv.observation import Eyes  # noqa: PLC0415 - as above
    from operator_tikv.pd.api import PdApi  # noqa: PLC0415 - as above
    from operator_tikv.pd.client import PdClient  # noqa: PLC0415 - as above

    counting = Counting()
    client = PdClient([url], transport=counting)
    eyes = Eyes(PdApi(client), SYSTEM_CLOCK)
    watch = Stopwatch()
    observation = await eyes.look("large")
    watch.stop()
    for _ in range(looks - 1):
        counting.read_bytes = 0
        watch = Stopwatch()
        observation = await eyes.look("large")
        watch.stop()
    errors = {name: part.error for name, part in observation.parts.items() if part.error}
    if errors:
        raise SystemExit(f"The look was not whole: {errors}")
    await client.close()
    return _figures(watch, counting.read_bytes)


async def download(url: str, _: int) -> dict[str, float]:
    """Download all regions and hold them, undecoded."""
    watch = Stopwatch()
    body = await _regions(url)
    watch.stop()
    return _figures(watch, len(body))


async def decode(url: str, _: int) -> dict[str, float]:
    """Download all regions and decode them, as whoever wants to know something must."""
    watch = Stopwatch()
    body = await _regions(url)
    regions = json.loads(body)
    watch.stop()
    if not regions["regions"]:
        raise SystemExit("There were no regions.")
    return _figures(watch, len(body))


async def _regions(url: str) -> bytes:
    async with httpx.AsyncClient(timeout=600, trust_env=False) as client:
        return (await client.get(f"{url}/pd/api/v1/regions")).content


class Stopwatch:
    """Seconds on the wall, and of this process's CPU, which other work does not lengthen."""

    def __init__(self) -> None:
        self._begin = (time.perf_counter(), time.process_time())
        self.seconds = self.cpu_seconds = 0.0

    def stop(self) -> None:
        """Take the time."""
        self.seconds = time.perf_counter() - self._begin[0]
        self.cpu_seconds = time.process_time() - self._begin[1]


def _figures(watch: Stopwatch, read_bytes: int) -> dict[str, float]:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "seconds": watch.seconds,
        "cpu_seconds": watch.cpu_seconds,
        "mib": read_bytes / MIB,
        "peak_mib": peak,
    }


WORK: dict[str, Callable[[str, int], Any]] = {"look": look, "download": download, "decode": decode}


def measured(url: str, what: str, looks: int) -> dict[str, float]:
    """Measure in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.observing", "--child", what, url, str(looks)]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)  # noqa: S603 - ourselves
    found: dict[str, float] = json.loads(done.stdout)
    return found


def table(rows: Sequence[tuple[str, dict[str, float]]]) -> str:
    """Return the figures, each also as a share of the last row's."""
    base = rows[-1][1]
    lines = [
        "| look at | seconds | CPU seconds | MiB read | peak MiB | time | CPU | bytes | memory |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, one in rows:
        shares = " | ".join(f"{one[key] / base[key]:.3f}" for key in base)
        figures = f"{one['seconds']:.2f} | {one['cpu_seconds']:.2f} | "
        figures += f"{one['mib']:.0f} | {one['peak_mib']:.0f}"
        lines.append(f"| {name} | {figures} | {shares} |")
    return "\n".join(lines)


@contextmanager
def _server(scale: Scale) -> "Iterator[str]":
    with started(scale) as url:
        yield url


def main(arguments: Sequence[str]) -> None:
    """Run what the arguments ask for."""
    parser = argparse.ArgumentParser(description="What a look at a large TiKV cluster costs.")
    parser.add_argument("--stores", type=int, default=1000)
    parser.add_argument("--regions", type=int, default=1_000_000)
    parser.add_argument("--child", nargs=3, metavar=("WORK", "URL", "LOOKS"))
    options = parser.parse_args(arguments)
    if options.child:
        what, url, looks = options.child
        sys.stdout.write(json.dumps(asyncio.run(WORK[what](url, int(looks)))))
        return
    rows = []
    scale = Scale(options.stores, options.regions)
    with _server(scale) as url:
        rows.append(("a healthy cluster, first look", measured(url, "look", 1)))
        rows.append(("a healthy cluster, third look", measured(url, "look", 3)))
    with _server(Scale(options.stores, options.regions, silent=2)) as url:
        rows.append(("two stores silent", measured(url, "look", 3)))
        rows.append(("`/regions`, decoded", measured(url, "decode", 1)))
        rows.append(("`/regions`, held undecoded", measured(url, "download", 1)))
    sys.stdout.write(f"{options.stores} stores, {options.regions} regions\n\n{table(rows)}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
