"""How well an index version answers by now, as messages."""

from __future__ import annotations

from ragmesh.api.types.v1 import migration_pb2 as pb
from ragmesh.chassis.messages.parts import moment_from_message, moment_to_message
from ragmesh.core.quality import Quality, QualityMetric, QualityVerdict


def quality_to_message(quality: Quality) -> pb.Quality:
    """What was found last."""
    return pb.Quality(
        index_version=quality.index_version,
        verdict=quality.verdict.value,
        at=moment_to_message(quality.at),
        metrics=[
            pb.QualityMetric(
                metric=one.metric,
                value=one.value,
                before=one.before,
                difference_low=one.difference_low,
                difference_high=one.difference_high,
                questions=one.questions,
            )
            for one in quality.metrics
        ],
        message=quality.message,
    )


def quality_from_message(message: pb.Quality) -> Quality:
    """What was found last."""
    return Quality(
        index_version=message.index_version,
        verdict=QualityVerdict(message.verdict),
        at=moment_from_message(message.at, field="quality.at"),
        metrics=tuple(
            QualityMetric(
                metric=one.metric,
                value=one.value,
                before=one.before,
                difference_low=one.difference_low,
                difference_high=one.difference_high,
                questions=one.questions,
            )
            for one in message.metrics
        ),
        message=message.message,
    )
