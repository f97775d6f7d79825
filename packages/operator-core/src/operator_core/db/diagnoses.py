"""Rows of diagnoses as models; apart from other rows, as executing needs none of them."""

import json

from operator_core.agent.diagnosis import Diagnosis
from operator_core.db.damage import read_as
from operator_core.db.engine import Row


@read_as("Diagnosis")
def of_row(row: Row) -> Diagnosis:
    """Return a diagnosis with its id."""
    own = {"id": row["id"], "ticket_id": row["ticket_id"], "created_at": row["created_at"]}
    return Diagnosis.model_validate({**json.loads(row["content"]), **own})
