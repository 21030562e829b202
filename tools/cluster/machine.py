"""What a cluster changes on its machine: a bridge, mounts, rules, the kernel's forwarding.

Everything is found again by its name or its place, so that it can be taken away whoever died
meanwhile. Before the first change, the folder gets a file with what is to be put back.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path

from tools.cluster.layout import ADDRESS, BRIDGE, PODS, SERVICES, Layout
from tools.generate_protos import ToolError
from tools.processes import await_condition, kill_families
from tools.servers.network import NETS

_FORWARDING = {
    "/proc/sys/net/ipv4/ip_forward": "1",
    # Answers to a pod may come another way than the one that leads to it.
    "/proc/sys/net/ipv4/conf/all/rp_filter": "0",
    "/proc/sys/net/bridge/bridge-nf-call-iptables": "1",
}
_OURS = "ragmesh-cluster"
_RULES = (
    # Nothing that a pod sends leaves this machine; servers that tests give a network of their own
    # are on it. The first rule to be inserted is the last to be asked.
    ("filter", "FORWARD", "-s", PODS, "!", "-o", BRIDGE, "-j", "REJECT"),
    ("filter", "FORWARD", "-s", PODS, "-d", str(NETS), "-j", "ACCEPT"),
    ("nat", "POSTROUTING", "-s", PODS, "-d", str(NETS), "-j", "MASQUERADE"),
)
_FOREIGN = re.compile(r"^:KUBE-", re.MULTILINE)
_CHAINS = re.compile(rf"\b(KUBE|CNI)-|{_OURS}")
_TABLES = [
    (program, table)
    for program in ("iptables", "ip6tables")
    for table in ("nat", "filter", "mangle")
]
_CONTROLLERS = ("cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "blkio", "pids")
_GROUPS = Path("/sys/fs/cgroup")
_DROPPED = Path("/var/log/containers")
"""Links to logs, which kubelet makes here whatever it is told."""
_REMEMBERED = Path("/var/lib/cni/results")
_BUNDLES = "io.containerd.runtime.v2.task/k8s.io/*"
"""What is known of each container; among it the socket of who holds it, outside of the folder."""
_TRIES = 3
_BURIAL_SECONDS = 20


def prepare(layout: Layout) -> None:
    """Make this machine ready for a cluster."""
    if os.geteuid() != 0:
        raise ToolError("only root can start a cluster")
    if _FOREIGN.search(_rules_of("iptables", "nat")):
        raise ToolError("another Kubernetes runs on this machine: use it, with KUBECONFIG")
    settings = {name: value for name, value in _FORWARDING.items() if Path(name).exists()}
    before = {name: Path(name).read_text() for name in settings}
    layout.traces.write_text(json.dumps(before))
    for name, value in settings.items():
        Path(name).write_text(value)
    _make_network()
    _run("mount", "--bind", layout.kubelet, layout.kubelet)
    # Volumes of pods are mounted here and seen by containers; no init has made / shared.
    _run("mount", "--make-rshared", layout.kubelet)
    _mount_groups()


def sweep(layout: Layout) -> None:
    """Take away all that a cluster has left, in whatever state it was; its folder too.

    ToolError names what is still there.
    """
    if layout.traces.exists():
        kill_families(_shims(layout))
        _unmount(layout.folder)
        _remove_network()
        _remove_groups()
        _remove_droppings(layout)
        before: Mapping[str, str] = json.loads(layout.traces.read_text())
        for name, value in before.items():
            Path(name).write_text(value)
        if left := list(_left(layout)):
            raise ToolError(f"of the cluster is still there: {', '.join(left)}")
    shutil.rmtree(layout.folder, ignore_errors=True)
    if layout.folder.exists():
        raise ToolError(f"{layout.folder} cannot be removed: what is in it is still in use")


def _left(layout: Layout) -> Iterator[str]:
    """What should have gone."""
    yield from (f"process {pid}" for pid in _shims(layout))
    yield from (f"mount {place}" for place in _mounts(layout.folder))
    if Path(f"/sys/class/net/{BRIDGE}").exists():
        yield f"bridge {BRIDGE}"
    for program, table in _TABLES:
        if _CHAINS.search(_rules_of(program, table)):
            yield f"rules of {program} {table}"
    yield from (f"cgroup {top}" for top in _tops() if top.exists())


def _make_network() -> None:
    _run("ip", "link", "add", BRIDGE, "type", "bridge")
    _run("ip", "address", "add", f"{ADDRESS}/24", "dev", BRIDGE)
    _run("ip", "link", "set", BRIDGE, "up")
    # A service's address never leaves either, while nobody translates it.
    _run("ip", "route", "replace", SERVICES, "dev", BRIDGE)
    for table, chain, *rule in _RULES:
        named = ("-m", "comment", "--comment", _OURS)
        _run("iptables", "-w", "-t", table, "-I", chain, *rule[:-2], *named, *rule[-2:])


def _remove_network() -> None:
    for program, table in _TABLES:
        _remove_rules(program, table)
    wires = Path(f"/sys/class/net/{BRIDGE}/brif")
    for wire in sorted(wires.iterdir()) if wires.exists() else ():
        _try("ip", "link", "delete", wire.name)
    _try("ip", "link", "delete", BRIDGE)


def _remove_rules(program: str, table: str) -> None:
    kept = [line for line in _rules_of(program, table).splitlines() if not _CHAINS.search(line)]
    words = (f"{program}-restore", "-w", "-T", table)
    subprocess.run(words, input="\n".join([*kept, ""]), text=True, check=True)


def _rules_of(program: str, table: str) -> str:
    words = (f"{program}-save", "-t", table)
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


def _mount_groups() -> None:
    """The controllers of version 1 that are not mounted; version 2 has one tree."""
    if (_GROUPS / "cgroup.controllers").exists():
        return
    mounted = Path("/proc/mounts").read_text()
    for controller in _CONTROLLERS:
        if re.search(rf" cgroup [^ ]*\b{controller}\b", mounted):
            continue
        (_GROUPS / controller).mkdir(exist_ok=True)
        _run("mount", "-t", "cgroup", "-o", controller, "cgroup", _GROUPS / controller)


def _remove_groups() -> None:
    for top in _tops():
        # One is busy for as long as the kernel buries who was in it.
        await_condition(partial(_emptied, top), _BURIAL_SECONDS)


def _tops() -> list[Path]:
    return [*_GROUPS.glob("*/kubepods"), _GROUPS / "kubepods"]


def _emptied(top: Path) -> bool:
    for path, _, _ in os.walk(top, topdown=False):
        with suppress(OSError):
            Path(path).rmdir()
    return not top.exists()


def _shims(layout: Layout) -> list[int]:
    """Who holds the containers of this cluster: they outlive the runtime that started them."""
    return [pid for pid, words in _processes() if _is_shim(words, layout)]


def _is_shim(words: str, layout: Layout) -> bool:
    return "containerd-shim" in words and str(layout.runtime_socket) in words


def _processes() -> Iterator[tuple[int, str]]:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it has ended meanwhile
            yield int(path.parent.name), path.read_text(errors="replace").replace("\0", " ")


def _unmount(folder: Path) -> None:
    for _ in range(_TRIES):  # what is mounted several times is unmounted as often
        for mount in reversed(_mounts(folder)):
            _try("umount", "--lazy", mount)


def _mounts(folder: Path) -> list[str]:
    places = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    return [place for place in places if place.startswith(f"{folder}/")]


def _remove_droppings(layout: Layout) -> None:
    for link in _DROPPED.glob("*") if _DROPPED.exists() else ():
        if link.is_symlink() and str(link.readlink()).startswith(f"{layout.folder}/"):
            link.unlink()
    for bundle in (layout.folder / "containerd" / "state").glob(_BUNDLES):
        for result in _REMEMBERED.glob(f"*-{bundle.name}-*"):
            result.unlink()
        address = bundle / "address"
        if address.exists():
            Path(address.read_text().removeprefix("unix://")).unlink(missing_ok=True)


def _run(*words: str | Path) -> None:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ToolError(f"{' '.join(map(str, words))}: {done.stderr.strip()}")


def _try(*words: str) -> None:
    """What may be done already."""
    subprocess.run(words, capture_output=True, check=False)
