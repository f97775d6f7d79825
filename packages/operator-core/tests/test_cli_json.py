"""Whatever prints data prints valid JSON where that is asked for, and nothing else."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from cli_kit import Cli, add_proposals, add_workflow, install, now_do
from operator_core.actions.policy.shipped import SHIPPED
from test_cli_diagnose import seen
from test_cli_main import every_command

READING: Mapping[str, tuple[str, ...]] = {
    "connect": (),
    "tickets list": ("--all",),
    "tickets show": ("1",),
    "rules list": (),
    "diagnose show": ("1",),
    "diagnose recheck": ("1",),
    "timeline": ("1",),
    "incident export": ("1", "--to", "incident.zip"),
    "incident check": ("incident.zip",),
    "replay": ("incident.zip",),
    "audit list": (),
    "audit verify": (),
    "actions list": (),
    "actions show": ("1",),
    "workflows list": (),
    "workflows show": ("1",),
    "schedules list": (),
    "schedules show": ("nightly",),
    "policy default": (),
    "policy show": (),
    "policy check": ("policy.toml",),
    "policy diff": ("policy.toml", "policy.toml"),
    "effects list": (),
    "twin report": (),
    "snooze list": (),
    "mode": (),
    "ledger check": (),
    "ledger info": (),
    "ledger backup": ("backup.db",),
    "doctor": (),
}
"""Each command that prints what is there, with arguments that find something."""
