"""Where the ledger of a test lies: a file, or a database of a real PostgreSQL server."""

from pathlib import Path

from operator_core.db.ledger import LedgerAddress

SQLITE = "sqlite"
POSTGRES = "postgres"

SHARED = (
    "test_approval",
    "test_clock_went_back",
    "test_clocks_",
    "test_compensation",
    "test_db_",
    "test_executor_",
    "test_gate_approvals",
    "test_gate_races",
    "test_gate_state",
    "test_gate_suspects",
    "test_leases",
    "test_pause",
    "test_safety",
    "test_schedules",
    "test_verifier",
)
"""The behaviour suite: modules whose tests hold for both engines."""

OF_THE_FILE = frozenset(
    {
        "test_a_cooldown_and_a_breaker_hold_over_restarts",
        "test_a_crash_after_any_transaction_changes_nothing_of_what_is_done",
        "test_a_crash_anywhere_in_firing_loses_no_run_and_doubles_none",
        "test_a_step_that_was_added_later_is_refused",
        "test_a_step_that_was_changed_since_is_refused",
        "test_another_process_sees_it_at_once",
        "test_every_statement_is_used",
        "test_ids_are_never_given_again",
        "test_one_schedule_that_cannot_be_fired_does_not_stop_the_others",
        "test_tampering_with_the_audit_is_found",
        "test_the_chain_goes_on_over_restarts_and_other_processes",
        "test_the_end_of_a_workflow_and_its_compensations_are_one_transaction",
    }
)
"""Tests among them that look into SQLite's file, or need several of them."""

_chosen: list[LedgerAddress] = []


def address_of(folder: Path) -> LedgerAddress:
    """Return where the present test's ledger lies."""
    return _chosen[-1] if _chosen else folder / "ledger.db"


def names(folder: Path) -> set[str]:
    """Return the names of the files in a folder."""
    return {path.name for path in folder.iterdir()}


def choose(address: LedgerAddress) -> None:
    """Let the ledger of the present test lie there."""
    _chosen.append(address)


def forget() -> None:
    """Let the next test's ledger be a file again."""
    _chosen.clear()
