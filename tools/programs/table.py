"""The programs that others have written, in groups of what they are needed for."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from tools.programs.fetching import DebianProgram, GoProgram, JavaProgram, Program

KUBERNETES = "v1.34.4"
"""The version of the cluster, as tools/programs/go/kubernetes/go.mod pins it."""
KEDA = "2.21.0"
"""As tools/programs/go/keda/go.mod pins it."""
_RENDERED_FOR = tuple(
    # What a chart is told of the cluster where it is rendered without one.
    f"helm.sh/helm/v3/pkg/chartutil.k8sVersion{part}"
    for part in ("Major=1", f"Minor={KUBERNETES.split('.')[1]}")
)
POSTGRES_FOLDER = "/usr/lib/postgresql/15/bin"
CNI_FOLDER = "/usr/lib/cni"


def _kubernetes(name: str) -> GoProgram:
    stamp = f"k8s.io/component-base/version.gitVersion={KUBERNETES}"
    return GoProgram("kubernetes", f"k8s.io/kubernetes/cmd/{name}", called=name, stamps=(stamp,))


def _keda(name: str) -> GoProgram:
    stamp = f"github.com/kedacore/keda/v2/version.Version={KEDA}"
    package = f"github.com/kedacore/keda/v2/cmd/{name}"
    return GoProgram("keda", package, called=f"keda-{name}", stamps=(stamp,))


KAFKA = JavaProgram("kafka")
WEAVIATE = GoProgram("weaviate", "github.com/weaviate/weaviate/cmd/weaviate-server")
POSTGRES = DebianProgram("postgres", "postgresql-15", POSTGRES_FOLDER)
REDIS = DebianProgram("redis-server", "redis-server")
VERSITYGW = GoProgram("versitygw", "github.com/versity/versitygw/cmd/versitygw")
COLLECTOR = GoProgram("collector", ".")

HELM = GoProgram("helm", "helm.sh/helm/v3/cmd/helm", stamps=_RENDERED_FOR)
KUBECONFORM = GoProgram("kubeconform", "github.com/yannh/kubeconform/cmd/kubeconform")
CYCLONUS = GoProgram("cyclonus", "github.com/mattfenwick/cyclonus/cmd/cyclonus")
KUBE_SCORE = GoProgram("kube-score", "github.com/zegl/kube-score/cmd/kube-score")
# Debian's is built without the discovery of pods.
PROMETHEUS = GoProgram("prometheus", "github.com/prometheus/prometheus/cmd/prometheus")
PROMTOOL = DebianProgram("promtool", "prometheus")

KUBE_APISERVER = _kubernetes("kube-apiserver")
KUBE_CONTROLLER_MANAGER = _kubernetes("kube-controller-manager")
KUBE_SCHEDULER = _kubernetes("kube-scheduler")
KUBELET = _kubernetes("kubelet")
KUBE_PROXY = _kubernetes("kube-proxy")
PAUSE = GoProgram("pause", ".")
COREDNS = GoProgram("coredns", "github.com/coredns/coredns")
METRICS_SERVER = GoProgram("metrics-server", "sigs.k8s.io/metrics-server/cmd/metrics-server")
ARGO_ROLLOUTS = GoProgram(
    "argo-rollouts",
    "github.com/argoproj/argo-rollouts/cmd/rollouts-controller",
    called="rollouts-controller",
)
ARGO_KUBECTL = GoProgram(
    "argo-rollouts",
    "github.com/argoproj/argo-rollouts/cmd/kubectl-argo-rollouts",
    called="kubectl-argo-rollouts",
)
KEDA_OPERATOR = _keda("operator")
KEDA_ADAPTER = _keda("adapter")
KUBECTL = _kubernetes("kubectl")
ETCD = DebianProgram("etcd", "etcd-server")
CONTAINERD = DebianProgram("containerd", "containerd")
CTR = DebianProgram("ctr", "containerd")
RUNC = DebianProgram("runc", "runc")
CNI_BRIDGE = DebianProgram("bridge", "containernetworking-plugins", CNI_FOLDER)
IPTABLES = DebianProgram("iptables", "iptables")
IP = DebianProgram("ip", "iproute2")
BUILDAH = DebianProgram("buildah", "buildah")
DEBOOTSTRAP = DebianProgram("debootstrap", "debootstrap")

GROUPS: Mapping[str, tuple[Program, ...]] = MappingProxyType(
    {
        "servers": (
            *(KAFKA, WEAVIATE, POSTGRES, REDIS, VERSITYGW, COLLECTOR),
            *(KUBE_APISERVER, KUBECTL, HELM, ETCD),  # for the operator, without a cluster
        ),
        "charts": (KUBECTL, HELM, KUBECONFORM, CYCLONUS, KUBE_SCORE, PROMTOOL, COLLECTOR),
        "cluster": (
            *(KUBE_APISERVER, KUBE_CONTROLLER_MANAGER, KUBE_SCHEDULER, KUBELET, KUBE_PROXY),
            *(
                PROMETHEUS,
                KUBECTL,
                PAUSE,
                COREDNS,
                METRICS_SERVER,
                ARGO_ROLLOUTS,
                ARGO_KUBECTL,
                HELM,
            ),
            *(ETCD, CONTAINERD, CTR, RUNC, CNI_BRIDGE, IPTABLES, IP),
        ),
        "images": (BUILDAH, DEBOOTSTRAP),
        "soak": (KEDA_ADAPTER, KEDA_OPERATOR),  # beside those of a cluster
    }
)
"""What `make tools` has, by the tests that need it; what takes longest to compile comes first."""
