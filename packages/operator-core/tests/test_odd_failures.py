"""Failures that name their own cause, whatever kind of cluster a member is of."""

import ssl

from operator_core.agent.diagnosis import Assessment
from operator_core.agent.odd_failures import ODD_FAILURES, OddFailure, odd_failures
from operator_core.call_failures import FailureKind, no_connection
from operator_core.monitor.types import Observation, Violation
from operator_core.types import Severity

SEEN = Observation()
USUAL = {FailureKind.REFUSED, FailureKind.TIMEOUT, FailureKind.UNREACHABLE}


def _assess(odd: OddFailure, violation: Violation, seen: Observation) -> Assessment:
    del violation, seen
    return Assessment(cause=odd.cause.format("n1"), escalate=True)


def _violation(failure: str) -> Violation:
    return Violation(
        invariant="member_down",
        target="member-1",
        message="It does not answer.",
        severity=Severity.WARNING,
        metrics={"failure": failure},
    )


def test_each_kind_of_failure_has_usual_causes_or_one_of_its_own() -> None:
    assert {one.kind for one in ODD_FAILURES} == set(FailureKind) - USUAL
    assert len({one.hypothesis for one in ODD_FAILURES}) == len(ODD_FAILURES)


def test_a_failure_is_weighed_by_its_own_cause_alone() -> None:
    causes = odd_failures(frozenset({"member_down"}), _assess, frozenset())
    for odd in ODD_FAILURES:
        weighed = [one.name for one in causes if one.assess(_violation(odd.kind), SEEN)]
        assert weighed == [odd.hypothesis]
    assert not any(one.assess(_violation("refused"), SEEN) for one in causes)


def _of_tls(words: str = "", *, certificate: str = "") -> str:
    """Return what is told of a connection that TLS broke off."""
    told = ssl.SSLCertVerificationError(1, words) if certificate else ssl.SSLError(1, words)
    if certificate:
        vars(told)["verify_message"] = certificate
    outer = OSError("no connection")
    outer.__cause__ = told
    failure = no_connection("https://n1:2379", outer)
    assert failure.kind is FailureKind.TLS
    return failure.reason


def test_a_certificate_that_is_refused_is_told_with_its_reason() -> None:
    assert _of_tls("verify failed", certificate="certificate has expired").endswith(
        "the certificate is refused: certificate has expired"
    )
    assert "wrong version" in _of_tls("wrong version")
