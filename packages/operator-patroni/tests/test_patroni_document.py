"""What docs/patroni.md says of settings is what the code says; `tests` hold its tables."""

from doc_pages import DocPage, names
from operator_patroni.obstacles import SMALLEST


def test_the_settings_that_may_be_changed_are_named() -> None:
    page = DocPage("patroni.md")
    told = page.text.split("`set_config` changes")[1].split("and nothing else")[0]
    assert set(SMALLEST) <= names(told)
