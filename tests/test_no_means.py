"""A process without files or memory for a connection blames no member of any cluster."""

import errno
import os
from collections.abc import Awaitable
from typing import Protocol

import anyio
import pytest

from operator_core.call_failures import NoMeansError
from operator_core.errors import ActionFailedError
from operator_etcd.client import EtcdClient
from operator_etcd.subject import EtcdSubject
from operator_patroni.client import PatroniClient
from operator_patroni.subject import PatroniSubject
from operator_tikv.metrics.prometheus import Prometheus
from operator_tikv.metrics.promql import Process
from operator_tikv.metrics.signals import TIKV_SIGNALS
from operator_tikv.pd.client import PdClient

NOWHERE = "http://127.0.0.1:1"
LACKS = r"This process gets no more files or memory \(Too many open files\)"


class Closable(Protocol):
    async def close(self) -> None: ...


@pytest.fixture(autouse=True)
def _no_files(monkeypatch: pytest.MonkeyPatch) -> None:
    async def no_file(*_: object, **__: object) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(anyio, "connect_tcp", no_file)


async def ended(one: Closable, call: Awaitable[object]) -> None:
    try:
        await call
    finally:
        await one.close()


async def test_etcd() -> None:
    subject = EtcdSubject(EtcdClient([NOWHERE]))
    with pytest.raises(NoMeansError, match=LACKS):
        await ended(subject, subject.observe())


async def test_patroni() -> None:
    subject = PatroniSubject(PatroniClient([NOWHERE]))
    with pytest.raises(NoMeansError, match=LACKS):
        await ended(subject, subject.observe())


async def test_pd() -> None:
    client = PdClient([NOWHERE, "http://127.0.0.1:2"])
    with pytest.raises(NoMeansError, match=LACKS):
        await client.get("/stores")
    with pytest.raises(NoMeansError, match=LACKS):
        await client.page(NOWHERE, 10)
    with pytest.raises(ActionFailedError, match=LACKS):
        await ended(client, client.send("POST", "/operators"))


async def test_prometheus() -> None:
    source = Prometheus(NOWHERE)
    with pytest.raises(NoMeansError, match=LACKS):
        await ended(source, source.ask(TIKV_SIGNALS, [Process("1", "127.0.0.1:20180")]))
