"""The clusters that a ledger knows, as functions of a transaction."""

from operator_core.db import changes, secrets
from operator_core.db.changes import Params, Stamp
from operator_core.db.engine import Tx


def connect(tx: Tx, name: str, plugin: str, settings: str, stamp: Stamp) -> None:
    """Remember a cluster that Operator is connected to.

    Raises:
        RequestError: its settings hold a secret.
    """
    secrets.require_none("Connecting with these settings", settings)
    params: Params = {"plugin": plugin, "settings": settings, "actor": stamp.actor}
    tx.run("subject.put", name=name, now=stamp.text, **params)
    data = {"name": name, "plugin": plugin}
    changes.note(tx, "subject_connected", data, stamp, subject=name)
