"""Ends well once Rollouts are as they are wished to be, and badly once one is given up or holds.

`helm upgrade` waits for it: Helm itself does not know what a Rollout is, nor whether it is done.
"""

from __future__ import annotations

import json
import os
import ssl
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
PAUSE_SECONDS = 2.0


def verdict(rollout: dict[str, Any]) -> tuple[bool, str] | None:
    """Whether it came out well, and why; None while it goes on."""
    status = rollout.get("status", {})
    if status.get("observedGeneration") != str(rollout["metadata"]["generation"]):
        return None
    if status.get("phase") == "Healthy":
        return True, "takes all calls"
    if status.get("phase") == "Degraded":
        return False, str(status.get("message"))
    if rollout["spec"].get("paused"):
        return False, "was paused by hand: kubectl argo rollouts promote lets it go on"
    reasons = {one["reason"] for one in status.get("pauseConditions") or ()}
    if "InconclusiveAnalysisRun" in reasons:
        doubts = "; ".join(_doubts(status)) or "its analysis could not tell"
        return False, f"holds: {doubts}; promote it or abort it"
    if "BlueGreenPause" in reasons:
        return True, "waits to be promoted: look at its preview"
    return None


def _doubts(status: dict[str, Any]) -> list[str]:
    """What analyses that could not tell say of themselves."""
    parts = [status.get(part) or {} for part in ("canary", "blueGreen")]
    runs = [one for part in parts for one in part.values() if isinstance(one, dict)]
    return [str(one.get("message")) for one in runs if one.get("status") == "Inconclusive"]


def read(name: str) -> dict[str, Any] | None:
    """What the cluster knows of it; None when it cannot be asked just now."""
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
    namespace = (ACCOUNT / "namespace").read_text()
    request = urllib.request.Request(
        f"https://{f'[{host}]' if ':' in host else host}:{port}/apis/argoproj.io/v1alpha1"
        f"/namespaces/{namespace}/rollouts/{name}",
        headers={"Authorization": f"Bearer {(ACCOUNT / 'token').read_text()}"},
    )
    trusted = ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt"))
    try:
        with urllib.request.urlopen(request, timeout=10, context=trusted) as reply:
            found: dict[str, Any] = json.load(reply)
    except urllib.error.HTTPError as error:
        if error.code in (401, 403, 404):
            raise
        return None
    except OSError:
        return None
    return found


def main(names: list[str]) -> int:
    """0 when all came out well. The first that is given up is told at once, whoever goes on."""
    left, failed = list(names), False
    while left:
        for name in tuple(left):
            if (rollout := read(name)) is not None and (told := verdict(rollout)) is not None:
                well, why = told
                print(f"{name} {why}", flush=True)
                failed |= not well
                left.remove(name)
        time.sleep(PAUSE_SECONDS if left else 0)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
