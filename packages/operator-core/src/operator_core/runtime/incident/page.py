"""The timeline of an incident as one page that needs nothing else, for a desk and a phone; pure."""

import html

from operator_core.clock import to_text
from operator_core.db.exports import IncidentRows
from operator_core.runtime.incident.timeline import Moment, timeline
from operator_core.visible import visible

_LONG_SECONDS = 120.0
_STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #5f6368; --ticket: #b3261e;
  --diagnose: #7b1fa2; --propose: #7a5900; --approve: #0b57d0; --execute: #006874;
  --verify: #146c2e; }
@media (prefers-color-scheme: dark) {
  :root { --soft: #a8adb4; --ticket: #ff8a80; --diagnose: #d7a6ff; --propose: #f2c14e;
    --approve: #8ab4f8; --execute: #5dd5e6; --verify: #7ddc95; }
}
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem;
  padding: 0 1rem; }
h1 { font-size: 1.3rem; line-height: 1.3; overflow-wrap: anywhere; margin-bottom: 0; }
p { color: var(--soft); margin-top: .2rem; }
table { border-collapse: collapse; width: 100%; }
td, th { text-align: left; vertical-align: top; padding: .4rem 1rem .4rem 0;
  border-top: 1px solid var(--line); }
.after, .stage { white-space: nowrap; }
.after { color: var(--soft); font-variant-numeric: tabular-nums; text-align: right; }
.stage { font-weight: 600; }
.what { width: 99%; overflow-wrap: anywhere; }
.about { min-width: 11rem; overflow-wrap: anywhere; }
.who { min-width: 14rem; overflow-wrap: anywhere; }
.who { color: var(--soft); }
small { display: block; color: var(--soft); }
.detect .stage, .ticket .stage { color: var(--ticket); }
.diagnose .stage { color: var(--diagnose); }
.propose .stage { color: var(--propose); }
.approve .stage { color: var(--approve); }
.execute .stage, .take-back .stage { color: var(--execute); }
.verify .stage { color: var(--verify); }
@media (max-width: 45rem) {
  body { margin: 1rem auto; }
  thead { display: none; }
  table, tbody { display: block; }
  tr { display: block; border-top: 1px solid var(--line); padding: .5rem 0; }
  td { border: 0; padding: 0; }
  .after, .stage, .about { display: inline; margin-right: .6rem; }
  .who, .what { display: block; min-width: 0; width: auto; }
  .who { font-size: .85em; }
}
"""


def page(incident: IncidentRows) -> str:
    """Return the timeline as one HTML file that needs nothing else; all text is escaped."""
    ticket = incident["tickets"][0]
    title = _text(f"Ticket {ticket['id']}: {ticket['message']}")
    first_seen = ticket["first_seen_at"][:19].replace("T", " ")
    state = f"{ticket['subject'] or 'no cluster'}, {ticket['status']}, first seen {first_seen} UTC"
    moments = "\n".join(_row(one) for one in timeline(incident))
    heads = "".join(f'<th class="{one}">{one}</th>' for one in _COLUMNS)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_STYLE}</style></head>\n"
        f"<body><h1>{title}</h1><p>{_text(state)}</p>\n"
        f"<table><thead><tr>{heads}</tr></thead><tbody>\n{moments}\n"
        "</tbody></table></body></html>\n"
    )


_COLUMNS = ("after", "stage", "about", "what", "who")


def _row(one: Moment) -> str:
    detail = f"<small>{_text(one.detail)}</small>" if one.detail else ""
    cells = {
        "after": _text(after(one.seconds)),
        "stage": _text(one.stage),
        "about": _text(one.ids),
        "what": _text(one.what) + detail,
        "who": _text(one.who),
    }
    tds = "".join(f'<td class="{name}">{cells[name]}</td>' for name in _COLUMNS)
    kind = _text(one.stage.replace(" ", "-"))
    return f'<tr class="{kind}" title="{_text(to_text(one.at))}">{tds}</tr>'


def _text(text: str) -> str:
    """Return text that neither is markup nor turns the direction of what stands beside it."""
    return html.escape(visible(text))


def after(seconds: float) -> str:
    """Return a time since the beginning: seconds at first, then hours, minutes and seconds."""
    if seconds < _LONG_SECONDS:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"
