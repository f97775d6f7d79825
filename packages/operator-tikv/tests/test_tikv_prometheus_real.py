"""The PromQL of every signal against a real Prometheus that scrapes pages of ours."""

import asyncio
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from operator_tikv.metrics.prometheus import Prometheus
from operator_tikv.metrics.promql import Process
from operator_tikv.metrics.reduce import Memory, Reading, readings, reduced, remembered
from operator_tikv.metrics.signals import CLIENT_SIGNALS, PD_SIGNALS, TIKV_SIGNALS, Kind

PROGRAM = shutil.which("prometheus")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(PROGRAM is None, reason="Debian's prometheus is not installed"),
]

CONFIG = """global: {{scrape_interval: 1s}}
scrape_configs:
  - job_name: tikv
    static_configs: [{{targets: ["127.0.0.1:{port}"], labels: {{tidb_cluster: prod}}}}]
"""
START_SECONDS = 300
BOUNDS = ("0.5", "1", "2", "+Inf")


def page(second: int) -> str:
    """What a store prints; all that counts grows evenly, and the histogram is the same always."""
    lines = [
        "process_start_time_seconds 1700000000",
        f"process_cpu_seconds_total {2 * second}",
        "tikv_server_cpu_cores_quota 4",
        f'tikv_critical_error_total{{type="sst\\\\corruption"}} {second}',
        f'tikv_thread_cpu_seconds_total{{name="apply_0",tid="1"}} {second}',
        f'tikv_thread_cpu_seconds_total{{name="apply_1",tid="2"}} {0.5 * second}',
    ]
    for bound, share in zip(BOUNDS, (1, 5, 9, 10), strict=True):
        name = "tikv_raftstore_append_log_duration_seconds_bucket"
        lines.append(f'{name}{{le="{bound}"}} {share * second}')
        # This one is idle.
        lines.append(f'tikv_raftstore_apply_log_duration_seconds_bucket{{le="{bound}"}} {share}')
    return "\n".join([f"# TYPE x untyped\n{lines[0]}", *lines[1:]]) + "\n"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@asynccontextmanager
async def store() -> AsyncIterator[int]:
    """A store whose page grows each time that it is read."""
    reads = 0

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal reads
        await reader.readuntil(b"\r\n\r\n")
        reads += 1
        body = page(reads).encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\n"
        writer.write(f"{head}Connection: close\r\n\r\n".encode() + body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield int(server.sockets[0].getsockname()[1])


@asynccontextmanager
async def prometheus(folder: Path, scraped_port: int) -> AsyncIterator[str]:
    """A real Prometheus that scrapes a port."""
    config = folder / "prometheus.yml"
    await asyncio.to_thread(config.write_text, CONFIG.format(port=scraped_port))
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        str(PROGRAM),
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(START_SECONDS):
            await _until_scraped(f"http://127.0.0.1:{port}")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        await process.wait()


async def _until_scraped(url: str) -> None:
    """Wait until a minute's rates have enough samples to be even."""
    async with httpx.AsyncClient(trust_env=False) as client:
        while True:
            await asyncio.sleep(0.5)
            question = {"query": "count_over_time(process_cpu_seconds_total[1m])"}
            try:
                answer = (await client.post(f"{url}/api/v1/query", data=question)).json()
            except (httpx.HTTPError, ValueError):  # not there yet, or still starting
                continue
            result = answer.get("data", {}).get("result", [])
            if result and int(result[0]["value"][1]) >= 8:
                return


def directly() -> dict[str, Reading]:
    memory = Memory()
    for second in (1, 31):
        memory = remembered(memory, reduced(page(second), TIKV_SIGNALS, second), TIKV_SIGNALS)
    return readings(memory, TIKV_SIGNALS)


async def test_prometheus_and_two_looks_agree(tmp_path: Path) -> None:
    async with store() as port, prometheus(tmp_path, port) as url:
        server = Prometheus(url, {"tidb_cluster": "prod"})
        processes = [Process("4", f"127.0.0.1:{port}")]
        found = await server.ask(TIKV_SIGNALS, processes)
        for signals in (PD_SIGNALS, CLIENT_SIGNALS):  # each question is one that it understands
            await server.ask(signals, processes)
        await server.close()
    mine = directly()
    even = {name: one["4"] for name, one in found.readings.items() if name in mine and "4" in one}
    kinds = {signal.name: signal.kind for signal in TIKV_SIGNALS}
    compared = {name for name in mine if kinds[name] in {Kind.RATE, Kind.QUANTILE, Kind.VALUE}}
    assert "raft_append_p99_seconds" in compared
    assert "raft_apply_p99_seconds" not in found.readings
    errors = even["critical_errors_per_second"]
    assert isinstance(errors, dict)
    # Prometheus divides by the whole minute, of which it has seen some seconds only.
    seen_share = errors["sst\\corruption"]
    assert 0 < seen_share <= 1.1
    for name in compared - {"critical_errors_per_second"}:
        value, is_rate = mine[name], kinds[name] is Kind.RATE
        assert isinstance(value, float)
        # Rates were asked one after the other, while it went on scraping.
        expected = value * seen_share if is_rate else value
        assert even[name] == pytest.approx(expected, rel=0.5 if is_rate else 0.01), name
