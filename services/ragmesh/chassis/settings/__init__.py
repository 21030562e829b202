"""Settings are read once, from flags, variables and one file, and then handed down by section."""

from __future__ import annotations

from ragmesh.chassis.settings.loading import load
from ragmesh.chassis.settings.reference import SettingRow, describe
from ragmesh.chassis.settings.section import Section

__all__ = ["Section", "SettingRow", "describe", "load"]
