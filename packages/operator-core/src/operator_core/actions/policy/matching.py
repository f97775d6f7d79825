"""From the words of a `match` to a test; made once when the policy is loaded."""

import re
from collections.abc import Callable, Iterator
from fnmatch import translate
from operator import attrgetter

from operator_core.actions.policy.request import NO_BLAST, PolicyRequest
from operator_core.actions.policy.windows import hours_test
from operator_core.actions.policy.words import Match

Test = Callable[[PolicyRequest], bool]
"""Says whether a request has one property."""

_NAMES = ("action", "subject", "target", "proposer")
_SHARES = ("data_share", "leader_share", "client_share", "quorum_share")


def tests_of(match: Match) -> list[tuple[str, Test]]:
    """Return the tests that a request must pass, with their keys; the cheapest first."""
    return [
        *_levels(match),
        *_tags(match),
        *_names(match),
        *_shares(match),
        *_confidence(match),
        *_time(match),
    ]


def all_of(tests: list[tuple[str, Test]]) -> Test:
    """Return one test that stands for all."""
    only = [test for _, test in tests]
    if len(only) == 1:
        return only[0]

    def every(request: PolicyRequest) -> bool:
        for test in only:  # noqa: SIM110 - the gate is in the hot path, a generator costs more
            if not test(request):
                return False
        return True

    return every


def _names(match: Match) -> Iterator[tuple[str, Test]]:
    for key in _NAMES:
        patterns: tuple[str, ...] = getattr(match, key)
        if patterns:
            yield key, _name_test(key, patterns)


def _name_test(key: str, patterns: tuple[str, ...]) -> Test:
    read = attrgetter(key)
    plain = frozenset(one for one in patterns if not set(one) & set("*?["))
    if len(plain) == len(set(patterns)):
        return lambda request: (read(request) or "") in plain
    matches = re.compile("|".join(map(translate, patterns))).match
    return lambda request: matches(read(request) or "") is not None


def _tags(match: Match) -> Iterator[tuple[str, Test]]:
    some, every, none = map(frozenset, (match.tags, match.tags_all, match.tags_none))
    if some:
        yield "tags", lambda request: not some.isdisjoint(request.tags)
    if every:
        yield "tags_all", lambda request: every <= request.tags
    if none:
        yield "tags_none", lambda request: none.isdisjoint(request.tags)


def _levels(match: Match) -> Iterator[tuple[str, Test]]:
    risks, severities = match.risk, match.severity  # a tuple of few finds identity first
    if risks:
        yield "risk", lambda request: request.risk in risks
    if severities:
        yield "severity", lambda request: request.severity in severities


def _shares(match: Match) -> Iterator[tuple[str, Test]]:
    for key in _SHARES:
        above: float | None = getattr(match, f"{key}_above")
        at_most: float | None = getattr(match, f"{key}_at_most")
        if above is not None:
            yield f"{key}_above", _share_test(key, above, over=True)
        if at_most is not None:
            yield f"{key}_at_most", _share_test(key, at_most, over=False)


def _share_test(key: str, bound: float, *, over: bool) -> Test:
    def test(request: PolicyRequest) -> bool:
        share: float | None = getattr(request.blast or NO_BLAST, key)
        known = 1.0 if share is None else share
        return (known > bound or share is None) if over else known <= bound

    return test


def _confidence(match: Match) -> Iterator[tuple[str, Test]]:
    least, below = match.confidence_at_least, match.confidence_below
    if least is not None:
        yield "confidence_at_least", lambda request: (request.confidence or 0.0) >= least
    if below is not None:
        yield "confidence_below", lambda request: (request.confidence or 0.0) < below


def _time(match: Match) -> Iterator[tuple[str, Test]]:
    if match.time is not None:
        inside = hours_test(match.time)
        yield "time", lambda request: inside(request.now)
