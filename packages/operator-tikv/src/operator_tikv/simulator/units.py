"""Texts of units as Go and PD print them."""

from __future__ import annotations

from datetime import UTC, datetime

KIB = 1 << 10
MIB = 1 << 20
GIB = 1 << 30
TIB = 1 << 40

_BYTE_UNITS = (("TiB", TIB), ("GiB", GIB), ("MiB", MIB), ("KiB", KIB))
_NANOSECONDS = 1_000_000_000
_SECONDS_PER_HOUR = 3600
_SECONDS_PER_MINUTE = 60


def byte_size_text(size_bytes: int) -> str:
    """Print bytes as PD's `ByteSize`: four significant digits and a binary unit."""
    for unit, unit_bytes in _BYTE_UNITS:
        if size_bytes >= unit_bytes:
            return f"{size_bytes / unit_bytes:.4g}{unit}"
    return f"{size_bytes}B"


def nanoseconds(unix_seconds: float) -> int:
    """Turn Unix seconds into nanoseconds, without float noise below a microsecond."""
    return round(unix_seconds * 1_000_000) * 1000


def go_duration_text(duration_seconds: float) -> str:
    """Print a duration as Go does: `5h15m29.38s`, `30m0s`, `1.5s`."""
    total_microseconds = round(duration_seconds * 1_000_000)
    whole, microseconds = divmod(total_microseconds, 1_000_000)
    hours, rest = divmod(whole, _SECONDS_PER_HOUR)
    minutes, seconds = divmod(rest, _SECONDS_PER_MINUTE)
    fraction = f".{microseconds:06d}".rstrip("0") if microseconds else ""
    text = f"{seconds}{fraction}s"
    if hours:
        return f"{hours}h{minutes}m{text}"
    return f"{minutes}m{text}" if minutes else text


def rfc3339_nano(unix_seconds: float) -> str:
    """Print an instant as Go's RFC3339Nano in UTC: trailing zeros are dropped."""
    seconds, nanos = divmod(nanoseconds(unix_seconds), _NANOSECONDS)
    stamp = datetime.fromtimestamp(seconds, tz=UTC).strftime("%Y-%m-%dT%H:%M:%S")
    fraction = f".{nanos:09d}".rstrip("0") if nanos else ""
    return f"{stamp}{fraction}Z"


def go_time_text(unix_seconds: float, monotonic_seconds: float) -> str:
    """Print an instant as Go's `time.String` with its monotonic reading."""
    seconds, nanos = divmod(nanoseconds(unix_seconds), _NANOSECONDS)
    stamp = datetime.fromtimestamp(seconds, tz=UTC).strftime("%Y-%m-%d %H:%M:%S")
    fraction = f".{nanos:09d}".rstrip("0") if nanos else ""
    return f"{stamp}{fraction} +0000 UTC m=+{monotonic_seconds:.9f}"


def http_date(unix_seconds: float) -> str:
    """Print an instant as the `Date` header of HTTP."""
    return datetime.fromtimestamp(int(unix_seconds), tz=UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")


def memcomparable_hex(raw: bytes) -> str:
    """Encode a key as TiKV does (groups of eight bytes with a marker) and print it as PD's hex."""
    encoded = bytearray()
    for start in range(0, len(raw) + 1, 8):
        group = raw[start : start + 8]
        padding = 8 - len(group)
        encoded += group + bytes(padding) + bytes([0xFF - padding])
    return encoded.hex().upper()
