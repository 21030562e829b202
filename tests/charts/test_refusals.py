"""Values that cannot work are refused before anything is made, in a sentence that says which."""

from __future__ import annotations

from typing import Any

import pytest

from tests.charts.rendering import Refused, example, laid_over, of_kind, rendered, rendered_text

pytestmark = pytest.mark.charts

SHAPES: dict[str, tuple[dict[str, Any], str]] = {
    "an unknown value": ({"replicas": 3}, "additional properties 'replicas' not allowed"),
    "a misspelt value of a service": (
        {"gateway": {"replica": 3}},
        "at '/gateway': additional properties 'replica' not allowed",
    ),
    "a misspelt value in the middle": (
        {"image": {"repo": "x"}},
        "at '/image': additional properties 'repo' not allowed",
    ),
    "an unknown mode": ({"mode": "cluster"}, "value must be one of 'embedded', 'distributed'"),
    "a number as text": ({"gateway": {"replicas": "3"}}, "at '/gateway/replicas'"),
    "fewer pods than none": ({"gateway": {"replicas": -1}}, "minimum"),
    "a pull policy that is none": ({"image": {"pullPolicy": "Sometimes"}}, "/image/pullPolicy"),
    "resources as Kubernetes has none": (
        {"gateway": {"resources": {"limit": {"cpu": "1"}}}},
        "additional properties 'limit' not allowed",
    ),
    "an amount that is none": (
        {"gateway": {"resources": {"limits": {"memory": "1 GB"}}}},
        "/gateway/resources/limits/memory",
    ),
    "a toleration of nothing": (
        {"gateway": {"tolerations": [{"effect": "Never"}]}},
        "/gateway/tolerations/0/effect",
    ),
    "a variable without a name": ({"gateway": {"extraEnv": [{"value": "x"}]}}, "'name'"),
    "labels that are a list": ({"commonLabels": ["a"]}, "at '/commonLabels'"),
    "an unknown provider of rollouts": (
        {"rollout": {"provider": "flagger"}},
        "at '/rollout/provider'",
    ),
    "an unknown strategy": (
        {"rollout": {"services": {"gateway": "blue"}}},
        "at '/rollout/services/gateway'",
    ),
    "a strategy for a service that is not there": (
        {"rollout": {"services": {"gatewy": "canary"}}},
        "gatewy",
    ),
    "a canary that takes everything": ({"rollout": {"canary": {"weights": [100]}}}, "/weights/0"),
    "more errors than calls": ({"rollout": {"analysis": {"errorRate": 2}}}, "/errorRate"),
    "a Prometheus that is no URL": (
        {"rollout": {"analysis": {"prometheus": "prometheus:9090"}}},
        "/rollout/analysis/prometheus",
    ),
    "a probe with an unknown time": (
        {"gateway": {"probes": {"liveness": {"period": 3}}}},
        "additional properties 'period' not allowed",
    ),
    "a misspelt section of settings": (
        {"settings": {"gatway": {"in_flight": 9}}},
        "at '/settings': additional properties 'gatway' not allowed",
    ),
    "a misspelt setting": (
        {"embedded": {"settings": {"gateway": {"in_flite": 9}}}},
        "at '/embedded/settings/gateway': additional properties 'in_flite' not allowed",
    ),
    "a misspelt setting of a list": (
        {"settings": {"generation": {"endpoints": [{"name": "m", "modle": "x"}]}}},
        "at '/settings/generation/endpoints/0': additional properties 'modle' not allowed",
    ),
    "a setting that is none of its kind": (
        {"settings": {"gateway": {"in_flight": "many"}}},
        "at '/settings/gateway/in_flight': got string, want integer",
    ),
    "a port that no machine has": ({"service": {"httpPort": 99999}}, "at '/service/httpPort'"),
    "a digest that is none": ({"image": {"digest": "3f2c9a7be1d0"}}, "at '/image/digest'"),
    "no partition": ({"events": {"partitions": 0}}, "at '/events/partitions'"),
    "a Service of an unknown type": ({"service": {"type": "Headless"}}, "at '/service/type'"),
}
MEANINGS: dict[str, tuple[str, dict[str, Any], str]] = {
    "no keys": (
        "embedded",
        {"identity": {"existingSecret": ""}},
        "identity.existingSecret is miss",
    ),
    "a server in one process": (
        "embedded",
        {"catalog": {"url": "postgresql+asyncpg://u@h/d"}},
        "catalog.url is set, but mode: embedded",
    ),
    "two processes on one volume": (
        "embedded",
        {"embedded": {"replicas": 2}},
        "embedded.replicas must be 1",
    ),
    "an operator and no keys": (
        "operated",
        {"identity": {"existingSecret": ""}},
        "identity.existingSecret is missing",
    ),
    "calls of an operator encrypted by nobody": (
        "operated",
        {"tls": {"certManager": {"enabled": True}}},
        "tls.certManager.issuerRef.name is missing",
    ),
    "the port of the operator among settings": (
        "operated",
        {"settings": {"internal": {"grpc": "0.0.0.0:50065"}}},
        "settings.internal.grpc is not to be set: it is a port of the pod",
    ),
    "calls encrypted where there are none": (
        "embedded",
        {"tls": {"enabled": True}},
        "mode: embedded has none without operator.enabled",
    ),
    "Argo for one process": (
        "embedded",
        {"rollout": {"provider": "argo"}},
        "rollout.provider is argo, and mode: embedded is one process",
    ),
    "no server": ("distributed", {"events": {"url": ""}}, "events.url must be kafka://HOST:PORT"),
    "a password in a URL": (
        "distributed",
        {"catalog": {"url": "postgresql+asyncpg://u:secret@h/d"}},
        "catalog.url must be postgresql+asyncpg://USER@HOST:PORT/DATABASE, without a password",
    ),
    "a cache in memory for several": (
        "distributed",
        {"cache": {"url": "memory://"}},
        "cache.url is memory://",
    ),
    "more indexers than partitions": (
        "distributed",
        {"indexer": {"replicas": 13}},
        "indexer may have 13 replicas",
    ),
    "a secret among settings": (
        "distributed",
        {"settings": {"generation": {"endpoints": [{"name": "m", "api_key": "x"}]}}},
        "is a secret and would stand in the annotations of pods",
    ),
    **{
        f"a password in {place}": (
            "distributed",
            {place.split(".")[0]: {place.split(".")[1]: url}},
            f"{place} has a password",
        )
        for place, url in (
            ("cache.url", "redis://:of-redis@redis.backing:6379/0"),
            ("events.url", "kafka://mesh:of-kafka@kafka.backing:9092"),
            ("index.url", "weaviate://mesh:of-weaviate@weaviate.backing"),
            ("blobs.endpoint", "http://mesh:of-s3@s3.backing:9490"),
        )
    },
    "a password in a URL of settings": (
        "distributed",
        {"settings": {"telemetry": {"otlp_endpoint": "http://mesh:of-otlp@collector:4317"}}},
        "settings.telemetry.otlp_endpoint has a password",
    ),
    **{
        f"a server at {url}": ("distributed", {store: {"url": url}}, f"{store}.url must be")
        for store, url in (
            ("catalog", "postgresql+asyncpg://u@h/d?password=secret"),
            ("events", "kafka://kafka.backing"),
            ("events", "kafka://kafka.backing:9092/two words"),
            ("index", "weaviate://weaviate.backing:1:2:3"),
            ("blobs", "s3://two words/mesh"),
            ("cache", "redis://redis.backing:6379/0/1"),
        )
    },
    "an endpoint that is no URL": (
        "distributed",
        {"blobs": {"endpoint": "s3.backing:9490"}},
        "blobs.endpoint must be http://HOST:PORT",
    ),
    "an access key of S3 for another store": (
        "distributed",
        {"blobs": {"url": "gs://ragmesh/mesh"}},
        "blobs.existingSecret holds an access key of S3",
    ),
    "certificates of a catalog that is not encrypted": (
        "distributed",
        {"catalog": {"tls": "off", "caSecret": "ca"}},
        "catalog.tls is off",
    ),
    "an authority of an index that is not encrypted": (
        "distributed",
        {"index": {"caSecret": "ca"}},
        "set index.tls",
    ),
    "an authority of a Redis that is not encrypted": (
        "distributed",
        {"cache": {"caSecret": "ca"}},
        "begin it with rediss://",
    ),
    "copies among the files": (
        "distributed",
        {"backup": {"enabled": True, "url": "s3://ragmesh/mesh/copies"}},
        "backup.url is s3://ragmesh/mesh/copies, and blobs.url is s3://ragmesh/mesh",
    ),
    "a section that a workload does not read": (
        "distributed",
        {"retrieval": {"settings": {"generation": {"min_confidence": 0.4}}}},
        "retrieval.settings.generation.min_confidence is read by no process of retrieval",
    ),
    "a setting that a workload does not read": (
        "distributed",
        {"indexing": {"settings": {"gateway": {"file_megabytes": 9, "in_flight": 9}}}},
        "indexing.settings.gateway.in_flight is read by no process of indexing",
    ),
    "two doors at one port": (
        "embedded",
        {"service": {"grpcPort": 8080}},
        "service.httpPort and service.grpcPort are both 8080",
    ),
    "no pod that may be away, in per cent": (
        "distributed",
        {"gateway": {"podDisruptionBudget": {"maxUnavailable": "0%"}}},
        "gateway.podDisruptionBudget.maxUnavailable is 0",
    ),
    "no pod too many, in per cent": (
        "distributed",
        {"gateway": {"maxSurge": "0%"}},
        "gateway.maxSurge is 0",
    ),
    "a name that is none": (
        "distributed",
        {"fullnameOverride": "2mesh"},
        "objects would be called 2mesh",
    ),
    "a name that no label can hold": ("distributed", {"nameOverride": "a" * 64}, "nameOverride is"),
    "settings beside the settings": (
        "distributed",
        {"gateway": {"podAnnotations": {"ragmesh.dev/settings": "x"}}},
        "gateway.podAnnotations sets ragmesh.dev/settings",
    ),
    "a label of selectors on everything": (
        "distributed",
        {"commonLabels": {"app.kubernetes.io/component": "rag"}},
        "commonLabels sets app.kubernetes.io/component",
    ),
    "a label of selectors on pods": (
        "distributed",
        {"gateway": {"podLabels": {"app.kubernetes.io/instance": "rag"}}},
        "gateway.podLabels sets app.kubernetes.io/instance",
    ),
    "an end before the longest stream": (
        "distributed",
        {"gateway": {"terminationGracePeriodSeconds": 30}},
        "gateway.terminationGracePeriodSeconds is 30",
    ),
    "a canary of one": (  # PD-5
        "argo",
        {"embedding": {"replicas": 1}},
        "a canary of embedding with 1 replica would be all of it",
    ),
    "a share that pods cannot express": (  # PD-5
        "argo",
        {"rollout": {"canary": {"weights": [5, 50]}}},
        "rollout.canary.weights begins with 5",
    ),
    "no share": (
        "argo",
        {"rollout": {"canary": {"weights": None}}},
        "rollout.canary.weights is empty",
    ),
    "shares that shrink": (
        "argo",
        {"rollout": {"canary": {"weights": [50, 40]}}},
        "rollout.canary.weights has 40 after 50",
    ),
    "an analysis that passes without a word": (  # PD-4
        "argo",
        {"rollout": {"analysis": {"count": 3}}},
        "rollout.analysis lets all of 3 measurements be bad or say nothing",
    ),
    "a preview of indexers": (
        "argo",
        {"rollout": {"services": {"indexer": "blueGreen"}}},
        "rollout.services.indexer is blueGreen",
    ),
    "questions without a key": (
        "argo",
        {"rollout": {"analysis": {"questions": {"existingSecret": ""}}}},
        "rollout.analysis.questions needs collection",
    ),
    "questions without a measure": (
        "argo",
        {"rollout": {"analysis": {"questions": {"floors": None}}}},
        "rollout.analysis.questions holds answers to nothing",
    ),
}


@pytest.mark.parametrize("case", SHAPES)
def test_values_of_the_wrong_shape_are_refused_by_their_place(case: str) -> None:  # HM-1
    values, said = SHAPES[case]
    with pytest.raises(Refused) as caught:
        rendered_text(laid_over(example("embedded"), values))
    assert said in caught.value.why


@pytest.mark.parametrize("case", MEANINGS)
def test_values_that_contradict_each_other_are_refused_in_a_sentence(case: str) -> None:  # HM-1
    base, values, said = MEANINGS[case]
    with pytest.raises(Refused) as caught:
        rendered_text(laid_over(example(base), values))
    assert said in caught.value.why
    assert "These values cannot work" in caught.value.why


def test_a_quota_of_any_unit_is_compared_with_what_the_release_needs() -> None:
    units = {"2": 2.0, "500m": 0.5, "1E": 1e18, "1Pi": 2.0**50, "1Ei": 2.0**60, "3k": 3e3}
    told = {
        f"of-{at}": f'{{{{ include "ragmesh.thousandths" "{one}" }}}}'
        for at, one in enumerate(units)
    }
    shown = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "shown"}, "data": told}
    (found,) = of_kind(rendered(example("embedded") | {"extraObjects": [shown]}), "ConfigMap")
    assert [float(one) / 1000 for one in found["data"].values()] == list(units.values())


def test_what_backups_need_is_asked_once_there_are_any() -> None:
    later = {"enabled": False, "url": "gs://copies/mesh", "existingSecret": "ragmesh-copies"}
    rendered_text(laid_over(example("distributed"), {"backup": later}))
    with pytest.raises(Refused, match="holds an access key of S3"):
        rendered_text(laid_over(example("distributed"), {"backup": later | {"enabled": True}}))
