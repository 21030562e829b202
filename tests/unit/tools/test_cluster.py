"""What a cluster is made of, as far as it can be seen without one."""

from __future__ import annotations

import io
import json
import stat
import tarfile
from pathlib import Path

import pytest
import yaml
from cryptography import x509

from tools.cluster import keda
from tools.cluster.archives import write_archive
from tools.cluster.keys import make_keys
from tools.cluster.layout import ADDRESS, TEMPLATES, Layout
from tools.generate_protos import ROOT
from tools.programs import table as programs
from tools.programs.fetching import GoProgram


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    layout = Layout(tmp_path)
    layout.configuration.mkdir()
    return layout


@pytest.mark.parametrize("path", sorted(TEMPLATES.glob("*.yaml")), ids=lambda path: path.name)
def test_every_template_names_only_what_there_is(path: Path, layout: Layout) -> None:
    more = {"name": "volume-1"} if path.name == "volume.yaml" else {}
    told = list(yaml.safe_load_all(layout.template(path.name, **more)))
    assert told
    assert "$folder" not in json.dumps(told)


def test_keys_open_what_they_are_for_and_nobody_else_may_read_them(layout: Layout) -> None:
    make_keys(layout)
    authority = x509.load_pem_x509_certificate((layout.keys / "ca.crt").read_bytes())
    served = x509.load_pem_x509_certificate((layout.keys / "apiserver.crt").read_bytes())
    served.verify_directly_issued_by(authority)
    names = served.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert ADDRESS in map(str, names.get_values_for_type(x509.IPAddress))
    node = x509.load_pem_x509_certificate((layout.keys / "kubelet.crt").read_bytes())
    assert node.subject.rfc4514_string() == "CN=system:node:node1,O=system:nodes"
    assert stat.S_IMODE(layout.keys.stat().st_mode) == 0o700
    assert stat.S_IMODE(layout.kubeconfig.stat().st_mode) == 0o600


def test_an_archive_holds_one_program_that_nobody_can_change(tmp_path: Path) -> None:
    program = tmp_path / "server"
    program.write_bytes(b"\x7fELF")
    archive = tmp_path / "server.tar"
    write_archive(archive, program)
    with tarfile.open(archive) as tar:
        (told,) = json.loads(_read(tar, "manifest.json"))
        config = json.loads(_read(tar, told["Config"]))["config"]
        with tarfile.open(fileobj=io.BytesIO(_read(tar, told["Layers"][0]))) as layer:
            entry = layer.getmember("server")
    assert told["RepoTags"] == ["localhost/server:1"]
    assert config["Entrypoint"] == ["/server"]
    assert (entry.mode, entry.uid, entry.gid) == (0o755, 0, 0)


@pytest.mark.parametrize("program", programs.GROUPS["soak"], ids=lambda program: program.name)
def test_keda_runs_as_its_makers_say_but_for_its_image_and_webhooks(
    program: GoProgram,
) -> None:
    container = {
        "image": "ghcr.io/kedacore/keda:latest",
        "imagePullPolicy": "Always",
        "command": ["/keda"],
        "args": ["--leader-elect"],
        "resources": {"requests": {"cpu": "100m", "memory": "100Mi"}},
        "readinessProbe": {"httpGet": {"path": "/readyz"}, "initialDelaySeconds": 20},
        "securityContext": {"readOnlyRootFilesystem": True},
    }
    told = {"spec": {"template": {"spec": {"containers": [container]}}}}
    (made,) = keda.offline(told, program)["spec"]["template"]["spec"]["containers"]
    assert (made["image"], made["imagePullPolicy"]) == (f"localhost/{program.name}:1", "Never")
    assert made["command"] == [f"/{program.name}"]
    assert ("--enable-webhook-patching=false" in made["args"]) == (
        program is programs.KEDA_OPERATOR
    )
    assert made["readinessProbe"]["httpGet"] == {"path": "/readyz"}
    assert made["securityContext"] == {"readOnlyRootFilesystem": True}


def test_a_cluster_alone_does_not_wait_for_keda_to_be_compiled() -> None:
    others = {
        program for name, group in programs.GROUPS.items() if name != "soak" for program in group
    }
    assert others.isdisjoint(programs.GROUPS["soak"])


@pytest.mark.parametrize(
    ("module", "pinned"),
    [
        ("kubernetes", f"k8s.io/kubernetes {programs.KUBERNETES}"),
        ("keda", f"github.com/kedacore/keda/v2 v{programs.KEDA}"),
    ],
)
def test_programs_tell_the_version_that_is_compiled(module: str, pinned: str) -> None:
    told = (ROOT / "tools" / "programs" / "go" / module / "go.mod").read_text(encoding="utf-8")
    assert pinned in {line.partition("//")[0].strip() for line in told.splitlines()}


def _read(tar: tarfile.TarFile, name: str) -> bytes:
    file = tar.extractfile(name)
    assert file is not None
    return file.read()
