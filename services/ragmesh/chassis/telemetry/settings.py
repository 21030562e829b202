"""Settings of telemetry."""

from __future__ import annotations

from pydantic import Field

from ragmesh.chassis.settings import Section


class TelemetrySettings(Section):
    """What a process tells about its work, and to whom."""

    otlp_endpoint: str | None = Field(
        None,
        pattern=r"^https?://[^/\s]+$",
        description="http://HOST:PORT or https://HOST:PORT of an OpenTelemetry collector that "
        "takes OTLP over gRPC; by default nothing is sent.",
    )
    sampled_ratio: float = Field(
        1.0,
        ge=0.0,
        le=1.0,
        description="Share of traces that are recorded, decided where a trace begins; who calls "
        "with a trace has decided already.",
    )
    queue_spans: int = Field(
        4_096, gt=0, description="Most spans that wait to be sent; more are dropped and counted."
    )
    export_timeout_seconds: float = Field(
        5.0, ge=1.0, description="How long the collector may take for one batch."
    )
    metrics_interval_seconds: float = Field(15.0, gt=0.0, description="How often metrics are sent.")
    shutdown_seconds: float = Field(
        3.0, ge=0.0, description="How long a process that stops sends what still waits."
    )
    loop_block_seconds: float = Field(
        0.1,
        gt=0.0,
        description="An event loop that does nothing else for longer is told in the log.",
    )
