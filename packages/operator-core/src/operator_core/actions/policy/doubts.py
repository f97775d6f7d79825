"""What is no fault of a policy, but hardly meant; pure."""

from collections.abc import Iterator

from operator_core.actions.policy.effect import EVERYBODY
from operator_core.actions.policy.people import seats_left
from operator_core.actions.policy.words import Match, Policy, Rule


def unreached(policy: Policy) -> Iterator[str]:
    """Yield the rules that stand behind one that matches everything."""
    whole = ""
    for rule in policy.rule:
        if whole:
            yield f"rule {rule.name!r}: never reached, for rule {whole!r} matches everything"
        elif rule.match == Match() and rule.when is None:
            whole = rule.name


def never(match: Match) -> bool:
    """Return whether nothing can be as a match asks for."""
    none = set(match.tags_none)
    tags = bool(match.tags) and set(match.tags) <= none
    return tags or not none.isdisjoint(match.tags_all) or any(_empty_ranges(match))


def _empty_ranges(match: Match) -> Iterator[bool]:
    for name in ("data_share", "leader_share", "client_share", "quorum_share"):
        above, at_most = getattr(match, f"{name}_above"), getattr(match, f"{name}_at_most")
        yield above is not None and at_most is not None and above >= at_most
    least, below = match.confidence_at_least, match.confidence_below
    yield least is not None and below is not None and least >= below


def too_few(policy: Policy, rule: Rule) -> str:
    """Return how many people a rule asks for that its roles do not have; empty: they have them."""
    asked = [policy.roles[one.role] for one in rule.approvals]
    if any(not members or EVERYBODY in members for members in asked):
        return ""  # everybody is enough, and that nobody is there is told elsewhere
    people = {person for members in asked for person in members}
    lack = (
        seats_left(policy, rule.approvals, sorted(people))
        if rule.distinct
        else sum(max(0, one.count - len(set(policy.roles[one.role]))) for one in rule.approvals)
    )
    return f"its roles have {len(people)} people, which is {lack} too few" if lack else ""
