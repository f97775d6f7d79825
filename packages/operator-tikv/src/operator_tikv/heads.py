"""Long lists of regions, of which only the beginning is read: the count stands first."""

import json
import re
from typing import Final

from pydantic import JsonValue

from operator_core.errors import SubjectUnreachableError
from operator_tikv.pd.api import PdApi
from operator_tikv.pd.client import API
from operator_tikv.pd.parse import decode_json, fit
from operator_tikv.pd.types import Regions

LIST_LIMIT_BYTES: Final = 1 << 20
"""A megabyte holds about 2,000 regions."""

_OK: Final = 200
_HEAD: Final = re.compile(r'\s*\{\s*"count"\s*:\s*(\d{1,18})\s*,\s*"regions"\s*:\s*\[')
_BETWEEN: Final = re.compile(r"\s*,?\s*")


async def head_of_list(api: PdApi, path: str, limit_bytes: int = LIST_LIMIT_BYTES) -> Regions:
    """Return PD's count of a list of regions, and those of its first regions that fit.

    Args:
        api: the cluster's PD.
        path: below the API's prefix, such as ``/regions/check/down-peer``.
        limit_bytes: how much of the list is read.

    Raises:
        SubjectError: it could not be read.
    """
    found = await _head(api, path, limit_bytes)
    if found is None:  # the long way finds another member and tells what is wrong
        found = await api.map_of(path)
    return fit(Regions, found, f"GET {path}")


async def _head(api: PdApi, path: str, limit_bytes: int) -> dict[str, JsonValue] | None:
    try:
        page = await api.client.page(f"{api.client.url}{API}{path}", limit_bytes)
    except SubjectUnreachableError:
        return None
    if page.status != _OK:
        return None
    if not page.is_whole:
        return head_of_regions(page.body.decode(errors="ignore"))
    value = decode_json(page.body)
    return value if isinstance(value, dict) else None


def head_of_regions(text: str) -> dict[str, JsonValue] | None:
    """Return the count and the whole regions of a list that was cut off; None: no such list."""
    head = _HEAD.match(text)
    if head is None:
        return None
    decoder, at = json.JSONDecoder(), head.end()
    regions: list[JsonValue] = []
    while at < len(text):
        try:
            region, end = decoder.raw_decode(text, _next(text, at))
        except (ValueError, RecursionError):
            break
        regions.append(region)
        at = end
    return {"count": int(head[1]), "regions": regions}


def _next(text: str, at: int) -> int:
    between = _BETWEEN.match(text, at)
    return between.end() if between else at
