"""Settings of what keys and tenants may use."""

from __future__ import annotations

from pydantic import Field

from ragmesh.chassis.settings import Section
from ragmesh.gateway.limiting.quotas import Allowance

_MEBIBYTE = 1024 * 1024


class AllowanceSettings(Section):
    """What each key, or all keys of one tenant together, may use of one gateway."""

    requests_per_minute: int = Field(
        0, ge=0, description="Requests that may be sent a minute; 0 for no limit."
    )
    in_flight: int = Field(
        0, ge=0, description="Requests that may be under way at one time; 0 for no limit."
    )
    upload_megabytes_per_minute: int = Field(
        0,
        ge=0,
        description="Megabytes that may be uploaded a minute; 0 for no limit. An upload that has "
        "begun is let through, and later ones wait for it.",
    )

    @property
    def allowance(self) -> Allowance:
        """The same as the gate counts it."""
        return Allowance(
            self.requests_per_minute,
            self.in_flight,
            self.upload_megabytes_per_minute * _MEBIBYTE,
        )
