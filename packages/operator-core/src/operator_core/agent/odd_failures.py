"""What it means that a member keeps failing in a way that no usual cause explains.

Who is gone, hangs or is cut off refuses, is silent or is out of reach. Any other failure names its
own cause, the same for every kind of cluster, and a person sees to it.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from operator_core.agent.diagnosis import Assessment
from operator_core.call_failures import FailureKind
from operator_core.monitor.types import Observation, Violation
from operator_core.subject import Hypothesis

_PRIOR = 0.7


class OddFailure(NamedTuple):
    """A cause that is known by how calls fail; ``{}`` stands for the member's name.

    Attributes:
        kind: how calls fail.
        hypothesis: the name of the cause.
        cause: what is wrong.
        evidence: what was seen.
        advice: what a person looks at.
    """

    kind: FailureKind
    hypothesis: str
    cause: str
    evidence: str
    advice: str


ODD_FAILURES = (
    OddFailure(
        FailureKind.TLS,
        "tls_failed",
        "TLS with {} fails: a certificate has expired, is for another name, or is not trusted",
        "No connection with TLS comes about",
        "Compare the certificate at its address, its dates and names, with the authority that "
        "Operator was given; clients may be refused as well",
    ),
    OddFailure(
        FailureKind.NO_NAME,
        "name_not_known",
        "The address of {} is not known here: its host name leads nowhere",
        "Its host name is not known",
        "See whether the name was removed, or whether this machine asks another name server",
    ),
    OddFailure(
        FailureKind.RESET,
        "connection_cut",
        "Something cuts the connections to {}: it crashes again and again, refuses our "
        "certificate, or a proxy or firewall stands between",
        "Its connections are cut before an answer",
        "See its log at the moment of a look",
    ),
    OddFailure(
        FailureKind.GARBAGE,
        "another_answers",
        "Something else than {} answers at its address, as a proxy or another member does",
        "What answers there does not speak like this member",
        "See who listens at its address",
    ),
    OddFailure(
        FailureKind.REJECTED,
        "access_refused",
        "{} runs and refuses to tell Operator how it is",
        "It says that it will not answer",
        "See whether Operator's user, token or certificate may still read",
    ),
    OddFailure(
        FailureKind.BUSY,
        "says_it_cannot",
        "{} runs and says that it cannot answer now: it is overloaded, or starts or stops",
        "It says that it cannot do it now",
        "See the load and the log of its machine",
    ),
    OddFailure(
        FailureKind.UNCERTAIN,
        "gives_up_itself",
        "{} runs and gives up on simple questions: its disk or its peers are too slow for it",
        "It gave up before it had an answer",
        "See the latency of its disk and of the network to its peers",
    ),
)
"""Of each kind of failure that is neither a refusal, nor silence, nor out of reach."""

Assess = Callable[[OddFailure, Violation, Observation], Assessment]


def odd_failures(
    explains: frozenset[str], assess: Assess, brings: frozenset[str]
) -> list[Hypothesis]:
    """Return a cause for each odd failure.

    Args:
        explains: the rules that say that a member does not answer; their violations have the kind
            of failure as the metric ``failure``.
        assess: what such a cause looks like in an observation.
        brings: the rules that break as its consequence.
    """
    return [
        Hypothesis(one.hypothesis, explains, partial(_weigh, one, assess), _PRIOR, brings)
        for one in ODD_FAILURES
    ]


def _weigh(
    odd: OddFailure, assess: Assess, violation: Violation, seen: Observation
) -> Assessment | None:
    return assess(odd, violation, seen) if violation.metrics.get("failure") == odd.kind else None
