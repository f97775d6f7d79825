"""What docs/etcd.md says of a look is what a look has; `tests` hold its other tables."""

from doc_pages import DocPage, names
from etcd_samples import healthy_survey, look


def test_every_part_of_a_look_is_told() -> None:
    rows = DocPage("etcd.md").rows("What a look asks for")
    told = {name for row in rows for name in names(row[0])}
    assert told == set(look(healthy_survey()).parts)
