"""A Prometheus that asks who wants to know."""

from base64 import b64encode
from pathlib import Path
from typing import Any

import httpx
import pytest

from operator_core.errors import ConfigurationError, SubjectError
from operator_tikv.metrics.authorization import authorization
from operator_tikv.metrics.prometheus import Prometheus
from operator_tikv.metrics.promql import Process
from operator_tikv.metrics.signals import TIKV_SIGNALS
from operator_tikv.plugin import metrics_settings, plugin

STORE = [Process("1", "127.0.0.1:20180")]
NOTHING = {"status": "success", "data": {"resultType": "vector", "result": []}}


class Guarded(httpx.AsyncBaseTransport):
    """A Prometheus that answers who shows what it wants to see."""

    def __init__(self, wanted: str) -> None:
        self.wanted = wanted

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.headers.get("Authorization") != self.wanted:
            return httpx.Response(401, text="Unauthorized")
        return httpx.Response(200, json=NOTHING)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "secret"
    made.write_text("hush\nand no more", encoding="utf-8")
    return made


def write(file: Path, secret: str) -> None:
    file.write_text(secret, encoding="utf-8")


async def asked(prometheus: Guarded, settings: dict[str, Any]) -> None:
    given = metrics_settings({"prometheus_url": "http://prom:9090", **settings})
    source = Prometheus(given.prometheus_url, {}, given.authorization, prometheus)
    try:
        await source.ask(TIKV_SIGNALS, STORE)
    finally:
        await source.close()


async def test_a_token_is_shown(file: Path) -> None:
    await asked(Guarded("Bearer hush"), {"prometheus_token_file": str(file)})
    with pytest.raises(SubjectError, match="401"):
        await asked(Guarded("Bearer hush"), {})


async def test_a_user_and_a_password_are_shown(file: Path) -> None:
    basic = "Basic " + b64encode("mé:hush".encode()).decode()
    user = {"prometheus_username": "mé", "prometheus_password_file": str(file)}
    await asked(Guarded(basic), user)


async def test_a_token_that_is_renewed_in_its_file_counts_from_the_next_question(
    file: Path,
) -> None:
    read = authorization({"prometheus_token_file": str(file)})
    source = Prometheus("http://prom:9090", {}, read, Guarded("Bearer new"))
    with pytest.raises(SubjectError, match="401"):
        await source.ask(TIKV_SIGNALS, STORE)
    write(file, "new")
    await source.ask(TIKV_SIGNALS, STORE)
    write(file, "")
    with pytest.raises(SubjectError, match=r"is not asked: .* prometheus token file .* is empty"):
        await source.ask(TIKV_SIGNALS, STORE)
    await source.close()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"prometheus_token_file": "/no/such"}, "prometheus token file /no/such cannot be read"),
        ({"prometheus_username": "me"}, "prometheus_username and prometheus_password_file go"),
        ({"prometheus_password_file": "FILE"}, "prometheus_username and prometheus_password_file"),
        (
            {
                "prometheus_token_file": "FILE",
                "prometheus_username": "me",
                "prometheus_password_file": "FILE",
            },
            "a token or a password, not both",
        ),
    ],
)
async def test_settings_that_say_nobody_are_refused(
    settings: dict[str, str], words: str, file: Path
) -> None:
    given = {name: str(file) if one == "FILE" else one for name, one in settings.items()}
    with pytest.raises(ConfigurationError, match=words):
        await plugin.connect({"pd": "http://127.0.0.1:2379", **given})
