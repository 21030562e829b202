"""One round of a developer on a cluster, by make and by skaffold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tools.generate_protos import ROOT, ToolError
from tools.image.building import Image
from tools.inner_loop import Round, installing, loading, reaching

IMAGE = Image("localhost/ragmesh:0.2.0-d1", Path("/kept/ragmesh-0.2.0-d1.tar"))
DEV = ROOT / "k8s" / "dev"


@pytest.mark.parametrize(
    ("context", "command"),
    [
        ("kind-laptop", "kind load image-archive /kept/ragmesh-0.2.0-d1.tar --name laptop"),
        ("k3d-a-b", "k3d image import /kept/ragmesh-0.2.0-d1.tar --cluster a-b"),
        ("minikube", "minikube image load /kept/ragmesh-0.2.0-d1.tar"),
    ],
)
def test_an_image_is_loaded_the_way_of_its_cluster(context: str, command: str) -> None:
    assert " ".join(loading(context, IMAGE)) == command


def test_the_cluster_of_this_project_is_given_the_archive() -> None:
    assert loading("ragmesh", IMAGE)[1:] == ["-m", "tools.cluster", "load", str(IMAGE.archive)]


def test_for_any_other_cluster_it_is_said_what_to_do() -> None:
    with pytest.raises(ToolError, match=r"prod is none .*: push .*tar to its registry"):
        loading("prod", IMAGE)


@pytest.mark.parametrize("mode", ["embedded", "distributed"])
def test_the_chart_is_installed_with_the_image_and_the_values_of_the_mode(mode: str) -> None:
    words = installing(Round("mine", mode), IMAGE, Path("helm"))

    assert words[:3] == ["helm", "upgrade", "--install"]
    assert words[words.index("--namespace") + 1] == "mine"
    values = Path(words[words.index("--values") + 1])
    assert yaml.safe_load(values.read_text())["mode"] == mode
    assert "image.repository=localhost/ragmesh,image.tag=0.2.0-d1" in words
    assert "--wait" in words


def test_it_is_said_how_the_doors_are_reached() -> None:
    told = reaching(Round("mine", "embedded"))
    assert told == "kubectl port-forward -n mine service/ragmesh 8080 50051"


def test_skaffold_builds_our_dockerfile_and_installs_our_chart_with_what_it_built() -> None:
    skaffold = _read(ROOT / "skaffold.yaml")
    (artifact,) = skaffold["build"]["artifacts"]
    (release,) = skaffold["deploy"]["helm"]["releases"]
    (profile,) = skaffold["profiles"]

    assert (skaffold["apiVersion"], skaffold["kind"]) == ("skaffold/v4beta11", "Config")
    assert (ROOT / artifact["context"] / artifact["docker"]["dockerfile"]).is_file()
    assert (ROOT / release["chartPath"] / "Chart.yaml").is_file()
    assert release["setValueTemplates"] == {
        "image.repository": f"{{{{.IMAGE_REPO_{artifact['image']}}}}}",
        "image.tag": f"{{{{.IMAGE_TAG_{artifact['image']}}}}}",
    }
    (patch,) = profile["patches"]
    for path in (*release["valuesFiles"], *patch["value"]):
        assert (ROOT / path).is_file()


def test_every_server_of_a_developers_cluster_has_an_image_of_one_version_and_a_name() -> None:
    kustomization = _read(DEV / "kustomization.yaml")
    images = {image["name"]: image["newTag"] for image in kustomization["images"]}

    for path in kustomization["resources"]:
        service, workload = yaml.safe_load_all((DEV / path).read_text())
        name = service["metadata"]["name"]
        pod = workload["spec"]["template"]
        (container,) = pod["spec"]["containers"]
        assert service["spec"]["selector"] == pod["metadata"]["labels"]
        assert workload["spec"]["serviceName"] == workload["metadata"]["name"] == name
        assert images[container["image"]] not in {"latest", ""}
        assert "readinessProbe" in container
        assert pod["spec"]["securityContext"]["runAsUser"] > 0


def test_the_values_of_a_developers_mesh_name_its_servers_by_the_ports_they_serve() -> None:
    values = _read(DEV / "distributed-values.yaml")
    ports = {}
    for path in _read(DEV / "kustomization.yaml")["resources"]:
        service, _ = yaml.safe_load_all((DEV / path).read_text())
        ports[service["metadata"]["name"]] = service["spec"]["ports"][0]["port"]

    assert f"postgres:{ports['postgres']}/" in values["catalog"]["url"]
    assert values["events"]["url"] == f"kafka://kafka:{ports['kafka']}"
    assert values["blobs"]["endpoint"] == f"http://s3:{ports['s3']}"
    assert values["cache"]["url"] == f"redis://redis:{ports['redis']}/0"
    assert values["index"]["url"] == "weaviate://weaviate"
    assert ports["weaviate"] == 8080


def _read(path: Path) -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return read
