"""Settings of the gateway."""

from __future__ import annotations

import re
from typing import Self

from pydantic import Field, field_validator, model_validator

from ragmesh.chassis.settings import Section
from ragmesh.chassis.tls.settings import DoorTlsSettings
from ragmesh.core.tenants import Budget, BudgetAction
from ragmesh.gateway import keys, routes
from ragmesh.gateway.limiting.gate import PLACES
from ragmesh.gateway.limiting.quotas import Allowances
from ragmesh.gateway.limiting.settings import AllowanceSettings
from ragmesh.gateway.limits import MEBIBYTE, GatewayLimits

_LIMITS = GatewayLimits()
_ORIGIN = re.compile(r"https?://([a-z0-9.-]+|\[[0-9a-f:]+\])(:[0-9]{1,5})?")


_SHORTEST_LEASE_SECONDS = 5.0
"""Indexing is heard of every second, and every four at most: less would refuse people meanwhile."""


class GatewaySettings(Section):
    """Settings of the gateway."""

    http: str = Field(
        "127.0.0.1:8080", description="Public HTTP address as HOST:PORT; port 0 is any free one."
    )
    grpc: str = Field(
        "127.0.0.1:50051", description="Public gRPC address as HOST:PORT; port 0 is any free one."
    )
    tls: DoorTlsSettings = Field(
        DoorTlsSettings(), description="The certificate that both doors show."
    )
    allowed_origins: tuple[str, ...] = Field(
        (),
        description="Origins such as https://wiki.example whose pages may call REST from a browser "
        "(CORS). In developer mode only those of this machine are served, named or not.",
    )
    question_seconds: float = Field(
        _LIMITS.question_seconds,
        gt=0,
        le=300,
        description="Longest time that one question may take from end to end.",
    )
    cache_seconds: float = Field(
        _LIMITS.cache_seconds,
        gt=0,
        le=10,
        description="Longest wait for the answer cache before it is passed by.",
    )
    context_tokens: int = Field(
        _LIMITS.context_tokens,
        ge=256,
        le=100_000,
        description="Most tokens of all chunks that an answer is made from.",
    )
    file_megabytes: int = Field(
        _LIMITS.file_bytes // MEBIBYTE,
        ge=1,
        le=32,
        description="Size of the largest document; indexing follows it.",
    )
    body_megabytes: int = Field(
        _LIMITS.body_bytes // MEBIBYTE,
        ge=1,
        le=64,
        description="Size of the largest HTTP body that brings documents.",
    )
    upload_megabytes: int = Field(
        _LIMITS.upload_bytes // MEBIBYTE,
        ge=1,
        description="Size of all uploads together that are being received at one time; more are "
        "refused with RESOURCE_EXHAUSTED and may come again.",
    )
    message_megabytes: int = Field(
        16, ge=4, le=64, description="Size of the largest gRPC message; larger files are streamed."
    )
    wait_seconds: int = Field(
        _LIMITS.wait_seconds,
        ge=1,
        le=3_600,
        description="Longest time that an upload may ask to wait for its jobs.",
    )
    body_pause_seconds: float = Field(
        _LIMITS.body_pause_seconds,
        gt=0,
        le=600,
        description="How long a client may send nothing of what it has begun to send, before its "
        "request is given up.",
    )
    reader_pause_seconds: float = Field(
        _LIMITS.reader_pause_seconds,
        gt=0,
        le=600,
        description="How long a client may take nothing of what it is sent, before its stream or "
        "connection is ended.",
    )
    in_flight: int = Field(
        PLACES,
        ge=8,
        le=100_000,
        description="Requests of all callers that may be under way at one time. One key gets half "
        "of them at most, uploads together half; probes are always answered.",
    )
    key: AllowanceSettings = Field(
        default_factory=AllowanceSettings, description="What each key may use."
    )
    tenant: AllowanceSettings = Field(
        default_factory=AllowanceSettings,
        description="What all keys of a tenant may use together.",
    )

    key_lease_seconds: float = Field(
        keys.LEASE_SECONDS,
        ge=_SHORTEST_LEASE_SECONDS,
        le=keys.LONGEST_LEASE_SECONDS,
        description="Seconds for which API keys are believed as they were last heard of, while"
        " indexing says nothing of them; then everybody is refused with KEYS_STALE. A key that was"
        " revoked meanwhile gets in for so long. Not above `gateway.route_lease_seconds`.",
    )
    route_lease_seconds: float = Field(
        routes.LEASE_SECONDS,
        ge=_SHORTEST_LEASE_SECONDS,
        le=routes.LEASE_SECONDS,
        description="Seconds for which the last route that was heard of is good while indexing"
        " cannot be asked; then questions are refused with ROUTES_STALE."
        " `indexing.route_lease_seconds` is how long an index version stays for that.",
    )
    usage_spool_records: int = Field(
        100_000,
        ge=1_000,
        description="Records of usage that may wait for indexing, on disk; then those of free calls"
        " are dropped and paid calls are refused with USAGE_SPOOL_FULL.",
    )
    monthly_dollars: float = Field(
        0.0,
        ge=0,
        description="What a tenant without a budget of its own may spend in a calendar month (UTC),"
        " in US dollars; 0 for no limit.",
    )
    on_budget_spent: BudgetAction = Field(
        BudgetAction.REFUSE,
        description="What happens to a question then: `refuse` answers BUDGET_SPENT, `degrade` has"
        " an engine without a price answer, which says so.",
    )

    @field_validator("allowed_origins")
    @classmethod
    def _refuse_what_is_no_origin(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        for origin in origins:
            if not _ORIGIN.fullmatch(origin):
                raise ValueError(
                    f"{origin!r} is no origin: a scheme, a host and a port if it is not the usual "
                    "one, in lower case and without a path; * is none"
                )
        return origins

    @model_validator(mode="after")
    def _refuse_contradictions(self) -> Self:
        if self.http == self.grpc and not self.http.endswith(":0"):
            raise ValueError("gateway.http and gateway.grpc must not be the same address")
        if self.file_megabytes > self.body_megabytes:
            raise ValueError(
                "gateway.file_megabytes must not be above gateway.body_megabytes: no HTTP body "
                "could bring such a file"
            )
        for name in ("body_megabytes", "message_megabytes"):
            if getattr(self, name) > self.upload_megabytes:
                raise ValueError(
                    f"gateway.{name} must not be above gateway.upload_megabytes: there would "
                    "never be room for the largest"
                )
        if self.key_lease_seconds > self.route_lease_seconds:
            raise ValueError(
                "gateway.key_lease_seconds must not be above gateway.route_lease_seconds: keys "
                "would be believed by a gateway that knows no route any more"
            )
        return self

    @property
    def limits(self) -> GatewayLimits:
        """The gateway's limits as these settings make them."""
        return GatewayLimits(
            question_seconds=self.question_seconds,
            cache_seconds=self.cache_seconds,
            context_tokens=self.context_tokens,
            file_bytes=self.file_megabytes * MEBIBYTE,
            body_bytes=self.body_megabytes * MEBIBYTE,
            upload_bytes=self.upload_megabytes * MEBIBYTE,
            wait_seconds=self.wait_seconds,
            body_pause_seconds=self.body_pause_seconds,
            reader_pause_seconds=self.reader_pause_seconds,
        )

    @property
    def allowances(self) -> Allowances:
        """What callers may use to whom nothing else was given."""
        return Allowances(self.key.allowance, self.tenant.allowance)

    @property
    def budget(self) -> Budget:
        """Of tenants without one of their own."""
        return Budget(self.monthly_dollars, self.on_budget_spent)

    @property
    def message_bytes(self) -> int:
        """Size of the largest gRPC message."""
        return self.message_megabytes * MEBIBYTE
