"""Where a cluster keeps what it writes, and which addresses it has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template

from ragmesh.chassis.settings.folders import cache_folder
from tools.generate_protos import ROOT

DEFAULT_FOLDER = cache_folder() / "cluster"
UP_VARIABLE = "CLUSTER_UP_SECONDS"
"""How long the cluster of `tools.cluster run` took to start; empty if it ran before."""
TEMPLATES = ROOT / "k8s" / "cluster"

NODE = "node1"
BRIDGE = "ragmesh0"
NETWORK = "ragmesh"
"""Of the pods, as the container network knows it."""
ADDRESS = "10.244.0.1"
"""Of the node, of its API server, and of whoever on this machine serves pods: loopback is refused
as a node's address, so one address of a bridge is all of them."""
PODS = "10.244.0.0/24"
FIRST_POD = "10.244.0.10"
SERVICES = "10.96.0.0/16"
API_SERVICE = "10.96.0.1"
DNS_SERVICE = "10.96.0.10"
API_PORT = 6443
API = f"https://{ADDRESS}:{API_PORT}"


@dataclass(frozen=True, slots=True)
class Layout:
    """One folder with all that a cluster writes."""

    folder: Path

    @property
    def keys(self) -> Path:
        """Certificates and their keys."""
        return self.folder / "pki"

    @property
    def configuration(self) -> Path:
        """What daemons are told by files."""
        return self.folder / "conf"

    @property
    def kubeconfig(self) -> Path:
        """Of the one who may do everything."""
        return self.kubeconfig_of("admin")

    @property
    def runtime_socket(self) -> Path:
        """Where containerd listens."""
        return self.folder / "containerd" / "containerd.sock"

    @property
    def kubelet(self) -> Path:
        """What kubelet mounts for pods."""
        return self.folder / "kubelet"

    @property
    def volumes(self) -> Path:
        """What is on the volumes that pods claim."""
        return self.folder / "volumes"

    @property
    def logs(self) -> Path:
        """What the daemons have said."""
        return self.folder / "logs"

    @property
    def traces(self) -> Path:
        """What is to be put back on this machine; there before the first thing is changed."""
        return self.folder / "machine.json"

    def kubeconfig_of(self, user: str) -> Path:
        """How a user of the API reaches it."""
        return self.configuration / f"{user}.kubeconfig"

    def filled(self, text: str, /, **more: str) -> str:
        """A template with the places and addresses of this cluster."""
        return Template(text).substitute({**self._words(), **more})

    def template(self, file: str, /, **more: str) -> str:
        """One of k8s/cluster, filled."""
        return self.filled((TEMPLATES / file).read_text(encoding="utf-8"), **more)

    def _words(self) -> Mapping[str, str]:
        return {
            "folder": str(self.folder),
            "keys": str(self.keys),
            "configuration": str(self.configuration),
            "kubelet_folder": str(self.kubelet),
            "runtime_socket": str(self.runtime_socket),
            "volumes": str(self.volumes),
            "node": NODE,
            "bridge": BRIDGE,
            "network": NETWORK,
            "address": ADDRESS,
            "api": API,
            "api_port": str(API_PORT),
            "pods": PODS,
            "first_pod": FIRST_POD,
            "services": SERVICES,
            "dns_service": DNS_SERVICE,
        }
