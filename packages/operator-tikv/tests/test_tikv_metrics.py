"""Metrics: the text format, rates from two looks, PromQL, and whose a series is."""

import math
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from operator_core.errors import SubjectUnreachableError
from operator_tikv.metrics.exposition import Line, lines_of, require_metrics
from operator_tikv.metrics.promql import Process, instance_pattern, owner, query, quoted
from operator_tikv.metrics.reduce import (
    Memory,
    histogram_quantile,
    readings,
    reduced,
    remembered,
    without_rates,
)
from operator_tikv.metrics.scrape import STALE_SECONDS, Scraper
from operator_tikv.metrics.signals import (
    CLIENT_SIGNALS,
    PD_SIGNALS,
    TIKV_SIGNALS,
    Component,
    Join,
    Kind,
    Signal,
)
from operator_tikv.pd.errors import PdAnswerError

PAGE = r"""# HELP up is it
# TYPE up gauge
up 1
up_time{a="x,y}",b="a\"b\\c\nd"} 2.5e3 1700000000000
up_time{} NaN
up_time 7
upper{le="+Inf"} +Inf"""

# --- the text format ----------------------------------------------------------------------


def test_only_the_named_samples_are_read() -> None:
    assert list(lines_of(PAGE, "up")) == [Line({}, 1.0)]
    assert list(lines_of(PAGE, "up_time")) == [
        Line({"a": "x,y}", "b": 'a"b\\c\nd'}, 2500.0),
        Line({}, 7.0),
    ]
    assert list(lines_of(PAGE, "upper")) == [Line({"le": "+Inf"}, math.inf)]
    assert list(lines_of(PAGE, "is it")) == []


@pytest.mark.parametrize("line", ["up", "up x", 'up{a="b} 1', "up{a=b} 1", 'up{a="b"c="d"} 1'])
def test_a_line_that_is_no_sample_is_an_error(line: str) -> None:
    with pytest.raises(PdAnswerError, match="cannot be read"):
        list(lines_of(f"{line} \n", "up"))


@pytest.mark.parametrize("text", ["<html>", "", '{"error": 1}', "not found"])
def test_a_page_that_holds_no_metrics_is_an_error(text: str) -> None:
    with pytest.raises(PdAnswerError, match="gave no metrics"):
        require_metrics(text, "http://x/metrics")


LABELS = st.dictionaries(
    st.from_regex(r"[a-z][a-z_]{0,6}", fullmatch=True), st.text(max_size=8), max_size=3
)


@settings(max_examples=30)
@given(LABELS, st.floats(allow_nan=False))
def test_it_reads_what_the_general_parser_reads(labels: dict[str, str], value: float) -> None:
    escaped = {
        key: text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
        for key, text in labels.items()
    }
    inner = ",".join(f'{key}="{text}"' for key, text in escaped.items())
    page = f"# TYPE x gauge\nx{{{inner}}} {value!r}\n"
    (family,) = text_string_to_metric_families(page)
    (sample,) = family.samples
    assert list(lines_of(page, "x")) == [Line(dict(sample.labels), sample.value)]


# --- readings from two looks --------------------------------------------------------------

VALUE = Signal("value", "v")
RATE = Signal("rate", "c", Kind.RATE, by="type")
GREATEST = Signal("greatest", "c", Kind.RATE, join=Join.MAX)
THREADS = Signal("threads", "c", join=Join.COUNT)
DELTA = Signal("delta", "v", Kind.DELTA, window_seconds=300)
MEDIAN = Signal("median", "h", Kind.QUANTILE, quantile=0.5)
START = Signal("restarts", "s", Kind.STARTS, counter="c", window_seconds=300)
GROWTH = Signal("growth", "e", Kind.GROWTH, window_seconds=600)
ALL = (VALUE, RATE, GREATEST, THREADS, DELTA, MEDIAN, START, GROWTH)


def page(start: int, value: float, first: float, second: float, counts: Sequence[int]) -> str:
    bounds = ("0.1", "1", "+Inf")
    lines = [f"s {start}", f"v {value}", f'c{{type="a",tid="1"}} {first}']
    lines += [f'c{{type="a",tid="2"}} {second}', 'c{type="b",tid="3"} 0']
    lines += [f'h_bucket{{le="{b}"}} {n}' for b, n in zip(bounds, counts, strict=True)]
    return "\n".join(lines)


def after(*looks: tuple[float, str]) -> Memory:
    memory = Memory()
    for at, text in looks:
        memory = remembered(memory, reduced(text, ALL, at), ALL)
    return memory


def test_one_look_gives_values_and_no_rates() -> None:
    memory = after((100, page(1, 5, 10, 20, (1, 2, 3))))
    assert without_rates(memory)
    assert readings(memory, ALL) == {"value": 5, "threads": 3, "restarts": 0}


def test_two_looks_give_rates_changes_and_quantiles() -> None:
    memory = after((100, page(1, 5, 10, 20, (0, 0, 0))), (130, page(1, 8, 40, 80, (10, 20, 20))))
    found = readings(memory, ALL)
    assert found["rate"] == {"a": 3.0, "b": 0.0}
    assert found["greatest"] == 2.0
    assert found["delta"] == 30
    assert found["median"] == pytest.approx(0.1)
    assert not without_rates(memory)


def test_what_was_idle_has_no_quantile() -> None:
    memory = after((100, page(1, 5, 1, 1, (4, 5, 6))), (130, page(1, 5, 1, 1, (4, 5, 6))))
    assert "median" not in readings(memory, ALL)
    assert readings(memory, ALL)["rate"] == {"a": 0.0, "b": 0.0}


def test_a_restart_begins_rates_anew_and_is_told_for_its_window() -> None:
    looks = [(100.0, page(1, 5, 90, 90, (9, 9, 9))), (130.0, page(120, 5, 1, 1, (0, 0, 0)))]
    memory = after(*looks)
    assert readings(memory, ALL)["restarts"] == 1
    assert without_rates(memory)
    later = after(*looks, (140, page(120, 5, 2, 1, (0, 0, 0))))
    assert readings(later, ALL)["rate"] == {"a": pytest.approx(0.1), "b": 0.0}
    assert readings(after(*looks, (431, page(120, 5, 2, 1, (0, 0, 0)))), ALL)["restarts"] == 0


def test_a_step_of_the_clock_is_no_restart() -> None:
    looks = [(100.0, page(50, 5, 90, 90, (0, 0, 0))), (130.0, page(48, 5, 95, 90, (0, 0, 0)))]
    memory = after(*looks)
    assert readings(memory, ALL)["restarts"] == 0
    assert not without_rates(memory)


def test_a_start_time_that_moved_is_a_restart_where_no_counter_says_more() -> None:
    only_start = (START,)
    memory = Memory()
    for at, text in ((100.0, "s 50"), (130.0, "s 120")):
        memory = remembered(memory, reduced(text, only_start, at), only_start)
    assert readings(memory, only_start) == {"restarts": 1.0}


def test_what_happened_once_is_told_for_its_whole_window() -> None:
    quiet = page(50, 5, 90, 90, (0, 0, 0))
    looks = [(float(at), quiet if at < 130 else f"{quiet}\ne 3") for at in range(100, 1000, 30)]
    told = [readings(after(*looks[:n]), ALL).get("growth") for n in range(1, len(looks) + 1)]
    assert told == [None] + [3.0] * 20 + [0.0] * 9


def test_a_counter_that_fell_counts_from_zero_and_a_new_one_too() -> None:
    memory = after((100, 'c{type="a",tid="1"} 50'), (110, 'c{type="a",tid="1"} 5\nc{type="n"} 4'))
    assert readings(memory, ALL)["rate"] == {"a": 0.5, "n": 0.4}


def test_rates_go_back_about_a_minute() -> None:
    looks = [(float(at), f"v {at}") for at in range(0, 200, 5)]
    memory = after(*looks)
    assert memory.base is not None
    assert 5 <= 195 - memory.base.at <= 65


@pytest.mark.parametrize("ends", [(380, 400, 420), (365, 370, 375), (390, 420, 500)])
def test_close_looks_after_distant_ones_do_not_make_the_time_of_a_rate_short(
    ends: tuple[int, ...],
) -> None:
    moments = [0, 60, 120, 180, 240, 300, 360, *ends]
    for count in range(3, len(moments) + 1):
        memory = after(*((float(at), f"v {at}") for at in moments[:count]))
        assert memory.base is not None
        assert moments[count - 1] - memory.base.at >= 30


@pytest.mark.parametrize(
    ("quantile", "buckets", "expected"),
    [
        (0.5, [(1, 5), (2, 10), (math.inf, 10)], 1.0),
        (0.99, [(1, 5), (2, 5), (math.inf, 10)], 2.0),
        (0.25, [(4, 8), (math.inf, 8)], 1.0),
        (0.5, [(1, 0), (math.inf, 0)], math.nan),
        (0.5, [(1, 5)], math.nan),
        (0.5, [], math.nan),
    ],
)
def test_a_quantile_is_the_one_of_prometheus(
    quantile: float, buckets: list[tuple[float, float]], expected: float
) -> None:
    assert histogram_quantile(quantile, buckets) == pytest.approx(expected, nan_ok=True)


# --- PromQL -------------------------------------------------------------------------------

STORES = [
    Process("1", "tikv-1.tikv-peer.db.svc:20180"),
    Process("10", "tikv-10.tikv-peer.db.svc:20180"),
    Process("4", "10.0.0.1:20180"),
    Process("5", "10.0.0.1:20181"),
]


def test_text_in_promql_cannot_end_the_string() -> None:
    assert quoted('a"b\\c\n') == r'"a\"b\\c\n"'
    asked = query(VALUE, STORES[2:3], {"tidb_cluster": 'x"} or vector(1) #'})
    assert r'tidb_cluster="x\"} or vector(1) #"' in asked


def test_a_dot_of_an_address_is_a_dot_and_the_port_may_be_missing() -> None:
    pattern = instance_pattern(STORES[2:3])
    assert pattern == r"(10\.0\.0\.1)(:[0-9]+)?"
    assert r'instance=~"(10\\.0\\.0\\.1)(:[0-9]+)?"' in query(VALUE, STORES[2:3], {})


def test_each_kind_is_asked_as_prometheus_wants_it() -> None:
    one = [Process("1", "kv:20180")]
    chosen = '{instance=~"(kv)(:[0-9]+)?"}'
    assert query(VALUE, one, {}) == f"sum by (instance) (v{chosen})"
    assert query(RATE, one, {}) == f"sum by (instance, type) (rate(c{chosen}[60s]))"
    assert query(GREATEST, one, {}) == f"max by (instance) (rate(c{chosen}[60s]))"
    assert query(THREADS, one, {}) == f"count by (instance) (c{chosen})"
    assert query(DELTA, one, {}) == f"sum by (instance) (delta(v{chosen}[300s]))"
    assert query(START, one, {}) == (
        f"sum by (instance) (changes(s{chosen}[300s]) "
        f"unless on (instance) (resets(c{chosen}[300s]) == 0))"
    )
    assert query(GROWTH, one, {}) == f"sum by (instance) (increase(e{chosen}[600s]))"
    expected = f"histogram_quantile(0.5, sum by (instance, le) (rate(h_bucket{chosen}[60s])))"
    assert query(MEDIAN, one, {}) == expected
    client = Signal("c", "c", component=Component.CLIENT)
    assert query(client, one, {"cluster": "a"}) == 'sum by (instance) (c{cluster="a"})'


@pytest.mark.parametrize(
    ("instance", "key"),
    [
        ("tikv-1.tikv-peer.db.svc:20180", "1"),
        ("tikv-1", "1"),
        ("tikv-10", "10"),
        ("tikv-1:20180", "1"),
        ("tikv-1:9999", None),
        ("tikv-2", None),
        ("10.0.0.1:20180", "4"),
        ("10.0.0.1:20181", "5"),
        ("10.0.0.1", None),
        ("10a0b0c1:20180", None),
        ("10", None),
        ("", None),
    ],
)
def test_a_series_belongs_to_the_process_of_its_instance(instance: str, key: str | None) -> None:
    assert owner(instance, STORES) == key


def test_the_names_of_signals_are_certain_and_rates_of_counters_are_by_one_label() -> None:
    for signals in (TIKV_SIGNALS, PD_SIGNALS, CLIENT_SIGNALS):
        names = [one.name for one in signals]
        assert len(set(names)) == len(names)
        assert all(one.quantile > 0 for one in signals if one.kind is Kind.QUANTILE)


# --- scraping -----------------------------------------------------------------------------


class Pages:
    """Stores that print a page, unless they are dead."""

    def __init__(self) -> None:
        self.now = 0.0
        self.dead: set[str] = set()
        self.read: list[str] = []

    async def fetch(self, url: str) -> str:
        self.read.append(url)
        if url in self.dead:
            raise SubjectUnreachableError(f"{url} is dead")
        return f"v {self.now}"

    def scraper(self, pages_per_look: int = 64) -> Scraper:
        return Scraper(self.fetch, (VALUE, DELTA), lambda: self.now, pages_per_look=pages_per_look)


async def test_a_store_that_cannot_be_reached_is_told_and_the_others_are_seen() -> None:
    pages = Pages()
    scraper, urls = pages.scraper(), {"1": "a", "2": "b"}
    pages.dead = {"b"}
    seen = await scraper.look(urls)
    assert seen.readings == {"value": {"1": 0.0}}
    assert seen.unseen == {"2": "b is dead"}
    assert seen.unrated == ("1",)
    pages.now = 30.0
    seen = await scraper.look(urls)
    assert seen.readings["delta"] == {"1": 300.0}
    assert seen.unrated == ()


async def test_many_stores_are_read_in_turn_and_old_readings_say_nothing() -> None:
    pages = Pages()
    scraper = pages.scraper(2)
    urls = {str(number): f"u{number}" for number in range(5)}
    seen = await scraper.look(urls)
    assert len(pages.read) == 2
    assert sorted(seen.unseen) == ["2", "3", "4"]
    for _ in range(2):
        pages.now += 5
        seen = await scraper.look(urls)
    assert seen.unseen == {}
    assert seen.ages_seconds["2"] == 5
    assert set(pages.read) == set(urls.values())
    pages.dead = set(urls.values())
    pages.now += STALE_SECONDS + 1
    seen = await scraper.look(urls)
    assert set(seen.unseen) == set(urls)
    assert seen.readings == {}


async def test_a_store_that_left_is_forgotten() -> None:
    pages = Pages()
    scraper = pages.scraper()
    await scraper.look({"1": "a"})
    assert (await scraper.look({})).readings == {}
    pages.now = 10.0
    assert (await scraper.look({"1": "a"})).unrated == ("1",)
