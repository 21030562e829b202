"""A network of a server's own, for one that listens on every address whatever it is told.

It lives as long as a process that holds it: a server that is killed and started again finds the
same addresses, its clients are refused meanwhile as on any machine, and when we die, so does the
holder, and with it the network and both ends of the wire. Nothing has a name that could be left.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tools.generate_protos import ToolError
from tools.processes import Command, Process, await_condition
from tools.programs.table import IP

NETS = ipaddress.ip_network("198.18.0.0/15")
"""Set aside for tests of networks: nobody's addresses in earnest."""


@dataclass(frozen=True, slots=True)
class Network:
    """Two addresses at the ends of a wire, the far one inside."""

    holder: Process
    address: str
    """Where the server is reached."""
    wire: str

    @classmethod
    def open(cls, folder: Path) -> Network:
        """Make one for the server of a folder, with its addresses of last time if they are free."""
        if os.geteuid() != 0:
            raise ToolError("only root can give a server a network of its own")
        IP.fetch()
        near, far = _free_pair(int(_digest(folder)[:8], 16))
        holder = Process.start(
            Command(
                words=("sleep", "infinity"),
                environ={"PATH": os.environ["PATH"], "HOME": str(folder)},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                within=("unshare", "--net"),
            )
        )
        network = cls(holder, far, wire_of(folder))
        try:
            _await_separation(holder.pid)
            network._connect(f"{near}/30", f"{far}/30")
        except BaseException:
            holder.kill()
            raise
        return network

    def inside(self) -> list[str]:
        """What a command begins with that runs inside."""
        return ["nsenter", f"--net=/proc/{self.holder.pid}/ns/net", "--"]

    def close(self) -> None:
        """Take it away, now rather than when the kernel finds that nobody is inside."""
        _ip("link", "delete", self.wire)
        self.holder.kill()

    def _connect(self, near: str, far: str) -> None:
        peer = ("peer", "name", "eth0", "netns", str(self.holder.pid))
        _ip("link", "add", self.wire, "type", "veth", *peer)
        _ip("address", "add", near, "dev", self.wire)
        _ip("link", "set", self.wire, "up")
        for command in (
            ("link", "set", "lo", "up"),
            ("address", "add", far, "dev", "eth0"),
            ("link", "set", "eth0", "up"),
        ):
            _ip(*command, inside=self.inside())


def wire_of(folder: Path) -> str:
    """What our end of the wire to the server of a folder is called."""
    return f"rm-{_digest(folder)[:12]}"


def _digest(folder: Path) -> str:
    return hashlib.sha256(str(folder).encode()).hexdigest()


def _free_pair(start: int) -> tuple[str, str]:
    """The two addresses of a net of four that nothing on this machine has."""
    links = json.loads(_ip("-json", "-4", "address"))
    taken = {one["local"] for link in links for one in link["addr_info"]}
    for step in range(64):
        first = NETS[(start + step) * 4 % NETS.num_addresses]
        if str(first + 1) not in taken:
            return str(first + 1), str(first + 2)
    raise ToolError(f"no free net in {NETS}")


def _await_separation(pid: int) -> None:
    ours = Path("/proc/self/ns/net").readlink()
    if not await_condition(lambda: Path(f"/proc/{pid}/ns/net").readlink() != ours):
        raise ToolError("no network of its own: does this machine allow `unshare --net`?")


def _ip(*words: str, inside: list[str] | None = None) -> str:
    done = subprocess.run(
        [*(inside or []), "ip", *words], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise ToolError(f"ip {' '.join(words)}: {done.stderr.strip()}")
    return done.stdout
