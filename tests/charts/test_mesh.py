"""What the chart says of the mesh is what the mesh says of itself."""

from __future__ import annotations

import json
import shlex
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from ragmesh.app.modules.internal import NEEDS, STORES
from ragmesh.app.settings import INTERNAL_PORTS, Settings
from ragmesh.chassis.settings import load
from tools.generate_protos import ROOT
from tools.programs.table import HELM

pytestmark = pytest.mark.charts

CHART = ROOT / "charts" / "ragmesh"
ENCRYPTED = (
    "tls.enabled=true,tls.certManager.enabled=true,tls.certManager.issuerRef.name=ca",
    "tls.door.enabled=true",
    "events.username=me,events.existingSecret=kafka,events.caSecret=kafka",
    "catalog.caSecret=postgres,catalog.clientCertificateSecret=postgres",
    "index.tls=true,index.existingSecret=weaviate,index.caSecret=weaviate",
    "cache.url=rediss://redis:6380/0,cache.passwordSecret=redis,cache.caSecret=redis",
)
SHAPES = {
    "embedded": ("embedded", ()),
    "embedded, scraped": ("embedded", ("workload.serviceMonitor.enabled=true",)),
    "embedded, operated": ("embedded", ("operator.enabled=true",)),
    "embedded, operated and encrypted": (
        "embedded",
        ("operator.enabled=true,tls.enabled=true,tls.existingSecrets.indexing=indexing",),
    ),
    "distributed": ("distributed", ()),
    "distributed, encrypted": ("distributed", ENCRYPTED),
    "distributed, tuned": (
        "distributed",
        (
            "settings.generation.min_confidence=0.4,settings.gateway.in_flight=9",
            "retrieval.settings.retrieval.threads=3,indexing.settings.gateway.file_megabytes=5",
        ),
    ),
    "embedded, backed up": ("embedded", ("settings.backup.url=s3://copies/mesh",)),
    "distributed, backed up": (
        "distributed",
        ("backup.enabled=true,backup.url=s3://copies/mesh,backup.existingSecret=copies",),
    ),
}
MOUNT = "/etc/ragmesh"


@cache
def rendered(shape: str, more: tuple[str, ...] = ()) -> Sequence[dict[str, Any]]:
    """The objects of a release."""
    mode, sets = SHAPES[shape]
    options = [
        word
        for one in (*sets, *more)
        for word in ("--set-json" if one.startswith("extraObjects=") else "--set", one)
    ]
    values = CHART / "ci" / f"{mode}-values.yaml"
    release = ["template", "r", str(CHART), "--namespace", "docs", "-f", str(values)]
    command = [str(HELM.fetch()), *release, *options]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [found for found in yaml.safe_load_all(done.stdout) if found]


def of_kind(kind: str, shape: str, more: tuple[str, ...] = ()) -> dict[str, dict[str, Any]]:
    """Objects of a kind by the names of their components."""
    return {
        found["metadata"]["labels"]["app.kubernetes.io/component"]: found
        for found in rendered(shape, more)
        if found["kind"] == kind
    }


def workloads(shape: str, more: tuple[str, ...] = ()) -> dict[str, dict[str, Any]]:
    """Deployments, or the one StatefulSet."""
    return of_kind("Deployment", shape, more) | of_kind("StatefulSet", shape, more)


def templates(shape: str) -> dict[str, dict[str, Any]]:
    """Pods of workloads, and of commands that run to their end, by their component."""
    specs = {
        name: found["spec"] for name, found in (workloads(shape) | of_kind("Job", shape)).items()
    }
    for name, found in of_kind("CronJob", shape).items():
        specs[name] = found["spec"]["jobTemplate"]["spec"]
    return {name: spec["template"] for name, spec in specs.items()}


def settings_files(shape: str) -> dict[str, str]:
    """What every process is told, by its workload or command."""
    return {
        name: pod["metadata"]["annotations"]["ragmesh.dev/settings"]
        for name, pod in templates(shape).items()
    }


def mounted(pod: dict[str, Any], folder: Path) -> None:
    """Make the files that a pod would find, below a folder."""
    for volume in pod["volumes"]:
        for source in volume.get("projected", {}).get("sources", ()):
            for item in source["secret"]["items"]:
                path = folder / "secrets" / item["path"]
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text("x")


@pytest.mark.parametrize("shape", SHAPES)
def test_every_process_accepts_the_settings_that_it_is_given(shape: str, tmp_path: Path) -> None:
    pods = {name: pod["spec"] for name, pod in templates(shape).items()}
    for name, text in settings_files(shape).items():
        folder = tmp_path / name
        folder.mkdir()
        mounted(pods[name], folder)
        config = folder / "ragmesh.yaml"
        config.write_text(text.replace(MOUNT, str(folder)))
        arguments = pods[name]["containers"][0]["args"]
        target = next((one[9:] for one in arguments if one.startswith("--target=")), "all")
        settings = load(Settings, config_file=config, environ={}, overrides={"target": target})
        for path in _paths(settings.model_dump()):
            assert not str(path).startswith(str(folder)) or path.exists(), path


def _paths(node: Any) -> Sequence[Path]:
    if isinstance(node, dict):
        return [path for value in node.values() for path in _paths(value)]
    return [node] if isinstance(node, Path) else []


def test_every_process_is_told_of_those_peers_that_its_target_needs() -> None:
    for name, text in settings_files("distributed").items():
        peers = yaml.safe_load(text).get("peers", {})
        assert set(peers) == set(NEEDS.get(name, {}))
        assert peers == {peer: f"r-ragmesh-{peer}:{INTERNAL_PORTS[peer]}" for peer in peers}


def test_policies_let_a_service_be_called_by_those_who_need_it_and_by_nobody_else() -> None:
    policies = of_kind("NetworkPolicy", "distributed")
    for name, port in INTERNAL_PORTS.items():
        rules = policies[name]["spec"]["ingress"]
        assert {rule["ports"][0]["port"] for rule in rules} == {port}
        assert _components(rules, "from") == {target for target in NEEDS if name in NEEDS[target]}
    for target, needs in NEEDS.items():
        assert _components(policies[target]["spec"]["egress"], "to") == set(needs)


def test_one_process_listens_and_proves_itself_for_an_operator_only_when_asked() -> None:
    alone, operated = (
        workloads(shape)["embedded"]["spec"]["template"]["spec"]
        for shape in ("embedded", "embedded, operated")
    )
    assert _ports(operated) - _ports(alone) == {INTERNAL_PORTS["indexing"]}
    assert _secret_keys(operated) - _secret_keys(alone) == {"indexing.key", "public-keys.json"}
    # What is under way there may take as long to end as at a door.
    assert operated["terminationGracePeriodSeconds"] > alone["terminationGracePeriodSeconds"]
    found = yaml.safe_load(settings_files("embedded, operated")["embedded"])["internal"]
    assert found == {
        "grpc": f"0.0.0.0:{INTERNAL_PORTS['indexing']}",
        "trusted_network": True,
    }


def _ports(pod: dict[str, Any]) -> set[int]:
    return {port["containerPort"] for port in pod["containers"][0]["ports"]}


def _secret_keys(pod: dict[str, Any]) -> set[str]:
    """What it reads of Secrets."""
    sources = next(
        one["projected"]["sources"] for one in pod["volumes"] if one["name"] == "secrets"
    )
    return {item["key"] for source in sources for item in source["secret"]["items"]}


def test_one_process_shows_an_operator_the_certificate_of_indexing() -> None:
    issued = ("tls.certManager.enabled=true,tls.certManager.issuerRef.name=ca",)
    shape = "embedded, operated and encrypted"
    given = ("tls.existingSecrets.indexing=", *issued)
    (certificate,) = [one for one in rendered(shape, given) if one["kind"] == "Certificate"]
    assert certificate["spec"]["dnsNames"] == ["indexing.ragmesh.internal"]
    volumes = workloads(shape, given)["embedded"]["spec"]["template"]["spec"]["volumes"]
    sources = next(one["projected"]["sources"] for one in volumes if one["name"] == "secrets")
    assert certificate["spec"]["secretName"] in {one["secret"]["name"] for one in sources}


def told(template: str) -> str:
    """An object that holds what a template says, as a value."""
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "told"}}
    text = f'{{{{ include "{template}" . }}}}'
    return f"extraObjects={json.dumps([{**body, 'data': {'told': text}}])}"


@pytest.mark.parametrize("shape", ["embedded, operated", "distributed"])
def test_an_operator_is_told_an_address_that_a_service_has(shape: str) -> None:
    objects = rendered(shape, ("operator.enabled=true", told("ragmesh.operatorAddress")))
    (address,) = [one["data"]["told"] for one in objects if one["kind"] == "ConfigMap"]
    ports = {
        f"{one['metadata']['name']}.docs:{port['port']}"
        for one in objects
        if one["kind"] == "Service"
        for port in one["spec"]["ports"]
    }
    assert address in ports
    assert address.endswith(f":{INTERNAL_PORTS['indexing']}")


@pytest.mark.parametrize(
    ("more", "namespace"), [((), "docs"), (("operator.from[0].podSelector.a=b",), "NAMESPACE")]
)
def test_the_command_that_installs_an_operator_fits_the_mesh(
    more: tuple[str, ...], namespace: str
) -> None:
    mesh = ("tls.domain=corp.example", *more)
    objects = rendered("embedded, operated and encrypted", (*mesh, told("ragmesh.operatorCommand")))
    (command,) = [one["data"]["told"] for one in objects if one["kind"] == "ConfigMap"]
    helm, _, name, chart, *options = shlex.split(command)
    assert options[:2] == ["--namespace", namespace]
    done = subprocess.run(
        [str(HELM.fetch()), "template", name, str(ROOT / chart), *options],
        capture_output=True,
        text=True,
        check=True,
    )
    pods = [one for one in yaml.safe_load_all(done.stdout) if one["kind"] == "Deployment"]
    (container,) = pods[0]["spec"]["template"]["spec"]["containers"]
    said = {one["name"]: one.get("value") for one in container["env"]}
    assert helm == "helm"
    assert said["RAGMESH_TLS__DOMAIN"] == "corp.example"


def _components(rules: Sequence[dict[str, Any]], side: str) -> set[str]:
    return {
        peer["podSelector"]["matchLabels"]["app.kubernetes.io/component"]
        for rule in rules
        for peer in rule.get(side, ())
    }


def test_every_workload_is_told_of_those_servers_that_its_target_uses() -> None:
    stores = {"catalog", "events", "blobs", "index", "cache"}
    for name, text in settings_files("distributed").items():
        if name in NEEDS:
            told = {store for store in stores if "url" in yaml.safe_load(text).get(store, {})}
            assert told == set(STORES.get(name, {}))


@pytest.mark.parametrize(
    ("change", "rolled"),
    [
        ("settings.generation.min_confidence=0.4", {"generation"}),
        ("settings.gateway.in_flight=9", {"gateway"}),
        ("settings.gateway.file_megabytes=5", {"gateway", "indexing", "indexer"}),
        ("settings.log.level=warning", set(NEEDS)),
        ("events.partitions=24", {"indexing", "indexer"}),
        ("index.tls=true", {"retrieval"}),
        ("cache.prefix=other", {"cache"}),
        ("retrieval.settings.log.level=debug", {"retrieval"}),
        ("embedding.replicas=3", set()),
        ("service.type=LoadBalancer", set()),
    ],
)
def test_a_change_renews_the_pods_that_it_concerns_and_no_others(  # PD-9
    change: str, rolled: set[str]
) -> None:
    before, after = workloads("distributed"), workloads("distributed", (change,))
    assert {
        name
        for name in before
        if before[name]["spec"]["template"] != after[name]["spec"]["template"]
    } == rolled


def test_each_pod_is_given_its_own_key_and_no_other() -> None:
    for name, found in workloads("distributed").items():
        keys = _secret_keys(found["spec"]["template"]["spec"])
        assert {key for key in keys if key.endswith(".key")} == {f"{name}.key"}
        assert "admin.key" not in keys


@pytest.mark.parametrize(
    ("more", "server"),
    [
        ((), "127.0.0.1:50051"),
        (ENCRYPTED[:2], "https://r-ragmesh:50051"),
        (("tls.door.enabled=true,tls.door.existingSecret=door",), "https://NAME:50051"),
    ],
)
def test_doors_are_called_by_a_name_that_their_certificate_has(
    more: tuple[str, ...], server: str
) -> None:
    notes = noted("distributed", more)
    assert f"export RAGMESH_SERVER={server}" in notes
    assert ("RAGMESH_CA_FILE" in notes) is server.startswith("https:")
    certificates = [one for one in rendered("distributed", more) if one["kind"] == "Certificate"]
    names = {name for one in certificates for name in one["spec"]["dnsNames"]}
    assert not certificates or server.split("/")[-1].split(":")[0] in names


@pytest.mark.parametrize(
    ("more", "is_told"),
    [
        ((), False),
        (("prometheusRule.enabled=true",), True),
        (("rollout.provider=argo",), True),
        (("rollout.provider=argo", "networkPolicy.metricsFrom[0].podSelector.a=b"), False),
        (("rollout.provider=argo", "workload.serviceMonitor.enabled=true"), False),
    ],
)
def test_who_asks_prometheus_is_told_when_it_may_not_scrape(
    more: tuple[str, ...], is_told: bool
) -> None:
    assert ("let nobody scrape the pods" in noted("distributed", more)) is is_told


def noted(shape: str, more: tuple[str, ...]) -> str:
    """What Helm says after an installation; without a cluster it says nothing."""
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "notes"}}
    text = "Notes: " + (CHART / "templates" / "NOTES.txt").read_text(encoding="utf-8")
    told = f"extraObjects={json.dumps([{**body, 'data': {'notes': text}}])}"
    (notes,) = [one for one in rendered(shape, (*more, told)) if one["kind"] == "ConfigMap"]
    found: str = notes["data"]["notes"]
    return found


def test_one_process_is_told_where_its_backups_go() -> None:
    told = yaml.safe_load(settings_files("embedded, backed up")["embedded"])
    assert told["backup"] == {"url": "s3://copies/mesh"}
