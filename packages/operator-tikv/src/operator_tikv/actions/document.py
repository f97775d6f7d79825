"""The table of all actions, written from their definitions.

`python -m operator_tikv.actions.document` prints it for `docs/tikv-actions.md`.
"""

import inspect
import sys
from collections.abc import Iterator
from typing import Final

from operator_tikv.actions.change import AnyChange, Change
from operator_tikv.actions.table import CHANGES

COMMANDS: Final[dict[str, str]] = {
    "transfer_leader": "operator add transfer-leader",
    "transfer_peer": "operator add transfer-peer",
    "transfer_region": "operator add transfer-region",
    "add_peer": "operator add add-peer",
    "add_learner": "operator add add-learner",
    "remove_peer": "operator add remove-peer",
    "split_region": "operator add split-region",
    "merge_regions": "operator add merge-region",
    "scatter_region": "operator add scatter-region",
    "cancel_operator": "operator remove",
    "drain_store": "scheduler add evict-leader-scheduler; scheduler config … add-store",
    "undrain_store": "scheduler remove evict-leader-scheduler-ID; scheduler config … delete-store",
    "grant_leaders": "scheduler add grant-leader-scheduler",
    "stop_granting_leaders": "scheduler remove grant-leader-scheduler-ID",
    "delete_store": "store delete ID / addr",
    "cancel_delete_store": "store cancel-delete",
    "remove_tombstones": "store remove-tombstone",
    "set_store_limit": "store limit ID",
    "set_all_store_limits": "store limit all",
    "set_store_limit_scene": "store limit-scene",
    "set_store_weight": "store weight",
    "set_store_labels": "store label (--rewrite)",
    "delete_store_label": "store label --delete",
    "add_scheduler": "scheduler add",
    "add_test_scheduler": "scheduler add shuffle-*, random-merge",
    "add_scatter_range_scheduler": "scheduler add scatter-range",
    "add_balance_range_scheduler": "scheduler add balance-range",
    "add_grant_hot_region_scheduler": "scheduler add grant-hot-region",
    "remove_scheduler": "scheduler remove",
    "pause_scheduler": "scheduler pause",
    "resume_scheduler": "scheduler resume",
    "pause_checker": "none (HTTP only)",
    "resume_checker": "none (HTTP only)",
    "configure_scheduler": "scheduler config NAME set",
    "set_shuffle_region_roles": "scheduler config shuffle-region set-roles",
    "set_grant_hot_region_stores": "scheduler config grant-hot-region set",
    "set_schedule_config": "config set (schedule)",
    "set_replication_config": "config set (replication)",
    "set_pd_server_config": "config set (pd-server)",
    "set_service_middleware_config": "config set service-middleware",
    "set_cluster_version": "config set cluster-version",
    "set_replication_mode": "config set replication-mode",
    "set_label_property": "config set label-property",
    "delete_label_property": "config delete label-property",
    "set_placement_rules": "config placement-rules save",
    "replace_placement_rules": "config placement-rules save (all)",
    "delete_placement_rule": "config placement-rules save (count 0)",
    "enable_placement_rules": "config placement-rules enable",
    "disable_placement_rules": "config placement-rules disable",
    "set_rule_group": "config placement-rules rule-group set",
    "delete_rule_group": "config placement-rules rule-group delete",
    "set_rule_bundle": "config placement-rules rule-bundle set",
    "delete_rule_bundle": "config placement-rules rule-bundle delete",
    "replace_rule_bundles": "config placement-rules rule-bundle save",
    "set_region_label_rule": "none (HTTP only)",
    "delete_region_label_rule": "none (HTTP only)",
    "resign_pd_leader": "member leader resign",
    "transfer_pd_leader": "member leader transfer",
    "set_pd_leader_priority": "member leader_priority",
    "delete_pd_member": "member delete name / id",
    "unsafe_remove_failed_stores": "unsafe remove-failed-stores",
    "delete_gc_safepoint": "service-gc-safepoint delete",
    "set_pd_log_level": "log",
}
"""What a person would type into pd-ctl for each action."""

_COLUMNS: Final = (
    "action",
    "pd-ctl",
    "what it does",
    "risk",
    "tags",
    "advice",
    "waits up to",
    "undone by",
    "what must hold first",
    "must be seen",
    "an approval rests on",
)
_MINUTE: Final = 60


def table() -> str:
    """Return the table in Markdown, one action a line."""
    head = f"| {' | '.join(_COLUMNS)} |"
    return "\n".join((head, "|---" * len(_COLUMNS) + "|", *_rows()))


def _rows() -> Iterator[str]:
    for name, change in CHANGES.items():
        one = change.definition
        cells = (
            f"`{name}`",
            COMMANDS[name],
            one.description,
            one.risk_level.value + (", alone" if one.disruptive else ""),
            ", ".join(one.tags),
            "a person approves" if one.requires_approval else "by itself",
            _time(change.wait_seconds),
            _undo(change),
            _first(change),
            ", ".join(one.needs_sources) or "nothing",
            ", ".join(f"`{path}`" for path in one.facts) or "the call alone",
        )
        yield f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


def _time(seconds: float) -> str:
    return f"{seconds / _MINUTE:g} min" if seconds >= _MINUTE else f"{seconds:g} s"


def _undo(change: type[AnyChange]) -> str:
    one = change.definition
    if one.inverse:
        return f"`{one.inverse}`"
    return f"`{one.restored_by}`, with the former values" if one.restored_by else "nothing"


def _first(change: type[AnyChange]) -> str:
    told = [
        " ".join((inspect.getdoc(method) or "").split())
        for method, default in (
            (change.check_arguments, Change.check_arguments),
            (change.check, Change.check),
        )
        if method is not default
    ]
    return " ".join(told) or "A majority of PD is healthy, as always."


if __name__ == "__main__":
    sys.stdout.write(table() + "\n")
