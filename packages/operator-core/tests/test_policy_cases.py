"""Tables of cases beside a policy."""

import pytest

from operator_core.actions.policy import Effect, PolicyError
from operator_core.actions.policy.cases import load_cases, try_case
from policy_kit import approving, one_rule

TABLE = """
[[case]]
name = "right"
request = { action = "evict", tags = ["movement"], blast = { data_share = 0.1 } }
expect = { effect = "approve", rule = "ask", approvals = 2 }

[[case]]
name = "wrong"
request = { action = "evict" }
expect = { effect = "auto", approvals = 0 }
"""


def test_a_case_says_what_is_wrong() -> None:
    loaded = approving('[{ role = "dba", count = 2 }]')
    right, wrong = (try_case(loaded, case) for case in load_cases(TABLE))
    assert (right.wrong, right.decision.effect) == ("", Effect.APPROVE)
    assert wrong.wrong == "effect is 'approve', not 'auto'; approvals is 2, not 0"


def test_a_case_may_name_other_suspects() -> None:
    loaded = one_rule("")
    text = """
[[case]]
name = "{name}"
request = {{ action = "delete_store", tags = "membership"{suspects} }}
expect = {{ effect = "{effect}" }}
"""
    alone = text.format(name="alone", suspects="", effect="auto")
    crowded = text.format(name="crowded", suspects=', suspects = "store-3"', effect="approve")
    assert [try_case(loaded, case).wrong for case in load_cases(alone + crowded)] == ["", ""]


@pytest.mark.parametrize(
    "text", ["case = 1", "", "[[case]]\nname = 'a'", TABLE + "\nextra = 1", "no toml"]
)
def test_faulty_cases_are_refused(text: str) -> None:
    with pytest.raises(PolicyError):
        load_cases(text)
