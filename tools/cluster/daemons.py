"""The programs that are a cluster, one row each, in the order in which they start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tools.programs import table as programs
from tools.programs.fetching import Program


@dataclass(frozen=True, slots=True)
class Daemon:
    """A program that runs on the node, not in a pod."""

    name: str
    program: Program
    words: tuple[str, ...]
    """Templates, as k8s/cluster has them."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Written before it starts: place in the cluster's folder, template of k8s/cluster."""
    stop_seconds: float = 10.0


ETCD_URL = "http://127.0.0.1:12379"
_ETCD_PEERS = "http://127.0.0.1:12380"

ETCD = Daemon(
    "etcd",
    programs.ETCD,
    (
        *("--name=ragmesh", "--data-dir=$folder/etcd", "--logger=zap", "--log-outputs=stderr"),
        *(f"--listen-client-urls={ETCD_URL}", f"--advertise-client-urls={ETCD_URL}"),
        *(f"--listen-peer-urls={_ETCD_PEERS}", f"--initial-advertise-peer-urls={_ETCD_PEERS}"),
        f"--initial-cluster=ragmesh={_ETCD_PEERS}",
    ),
)
API_SERVER = Daemon(
    "kube-apiserver",
    programs.KUBE_APISERVER,
    (
        *("--advertise-address=$address", "--bind-address=$address", "--secure-port=$api_port"),
        *(f"--etcd-servers={ETCD_URL}", "--service-cluster-ip-range=$services"),
        *("--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction"),
        *("--allow-privileged=true", "--profiling=false", "--endpoint-reconciler-type=lease"),
        *("--client-ca-file=$keys/ca.crt", "--tls-cert-file=$keys/apiserver.crt"),
        "--tls-private-key-file=$keys/apiserver.key",
        "--kubelet-client-certificate=$keys/apiserver-kubelet.crt",
        "--kubelet-client-key=$keys/apiserver-kubelet.key",
        "--kubelet-certificate-authority=$keys/ca.crt",
        "--kubelet-preferred-address-types=InternalIP",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        "--service-account-key-file=$keys/tokens.pub",
        "--service-account-signing-key-file=$keys/tokens.key",
        "--requestheader-client-ca-file=$keys/front-ca.crt",
        "--requestheader-allowed-names=front-proxy-client",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-username-headers=X-Remote-User",
        *("--proxy-client-cert-file=$keys/front.crt", "--proxy-client-key-file=$keys/front.key"),
        "--enable-aggregator-routing=true",
    ),
    stop_seconds=15,
)
CONTAINERD = Daemon(
    "containerd",
    programs.CONTAINERD,
    ("--config", "$configuration/containerd.toml"),
    {
        "conf/containerd.toml": "containerd.toml",
        "cni/10-bridge.conflist": "network.conflist",
    },
)


def _kubeconfig(user: str, *flags: str) -> tuple[str, ...]:
    return tuple(f"--{flag}=$configuration/{user}.kubeconfig" for flag in ("kubeconfig", *flags))


CONTROLLER_MANAGER = Daemon(
    "kube-controller-manager",
    programs.KUBE_CONTROLLER_MANAGER,
    (
        *_kubeconfig("controller-manager", "authentication-kubeconfig", "authorization-kubeconfig"),
        *("--bind-address=127.0.0.1", "--leader-elect=false", "--profiling=false"),
        *("--use-service-account-credentials", "--root-ca-file=$keys/ca.crt"),
        "--service-account-private-key-file=$keys/tokens.key",
        "--cluster-signing-cert-file=$keys/ca.crt",
        "--cluster-signing-key-file=$keys/ca.key",
        *("--controllers=*", "--allocate-node-cidrs=false"),
        "--flex-volume-plugin-dir=$folder/plugins",
    ),
)
SCHEDULER = Daemon(
    "kube-scheduler",
    programs.KUBE_SCHEDULER,
    (
        *_kubeconfig("scheduler", "authentication-kubeconfig", "authorization-kubeconfig"),
        *("--bind-address=127.0.0.1", "--leader-elect=false", "--profiling=false"),
    ),
)
KUBELET = Daemon(
    "kubelet",
    programs.KUBELET,
    (
        *_kubeconfig("kubelet"),
        *("--config=$configuration/kubelet.yaml", "--root-dir=$kubelet_folder"),
        *("--cert-dir=$kubelet_folder/pki", "--hostname-override=$node", "--node-ip=$address"),
    ),
    {"conf/kubelet.yaml": "kubelet.yaml", "conf/resolv.conf": "resolv.conf"},
)
KUBE_PROXY = Daemon(
    "kube-proxy",
    programs.KUBE_PROXY,
    ("--config=$configuration/kube-proxy.yaml",),
    {"conf/kube-proxy.yaml": "kube-proxy.yaml"},
)
PROMETHEUS = Daemon(
    "prometheus",
    programs.PROMETHEUS,
    (
        "--config.file=$configuration/prometheus-server.yaml",
        *("--storage.tsdb.path=$folder/prometheus", "--web.listen-address=$address:9090"),
    ),
    {"conf/prometheus-server.yaml": "prometheus-server.yaml"},
)

FOUNDATION = (ETCD, API_SERVER, CONTAINERD)
"""What the others speak to."""
REST = (CONTROLLER_MANAGER, SCHEDULER, KUBELET, KUBE_PROXY, PROMETHEUS)
"""What starts when the API is served."""
