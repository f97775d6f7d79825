"""PD's default placement rule, which says what the replication settings say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from operator_tikv.simulator.admin import DEFAULT_RULE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from operator_tikv.simulator.admin import Admin

    Json = dict[str, object]


def kept_rules(admin: Admin, replication: Mapping[str, object]) -> dict[tuple[str, str], Json]:
    """The rules that PD keeps; the default one follows the settings until it is deleted.

    Args:
        admin: where they are kept; a cluster that has none gets the default one.
        replication: the replication part of PD's configuration.
    """
    if not admin.rules:
        admin.rules[DEFAULT_RULE] = _default()
    default = admin.rules.get(DEFAULT_RULE)
    if default is not None:
        _follow(default, replication)
    return admin.rules


def _follow(rule: Json, replication: Mapping[str, object]) -> None:
    """Take over what PD keeps equal: the count, the location labels and the isolation level."""
    rule["count"] = replication["max-replicas"]
    labels = [one for one in str(replication["location-labels"]).split(",") if one]
    for key, value in (
        ("location_labels", labels),
        ("isolation_level", replication["isolation-level"]),
    ):
        rule.pop(key, None)
        if value:
            rule[key] = value


def _default() -> Json:
    return {
        "group_id": "pd",
        "id": "default",
        "start_key": "",
        "end_key": "",
        "role": "voter",
        "is_witness": False,
        "count": 3,
    }
