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
from collections.abc import Callable
from pathlib import Path
from typing import Any

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
PAUSE_SECONDS = 2.0
UNSEEN_SECONDS = 120.0
"""How long the controller may leave a change unseen. One that runs sees it within a second, and
within 10 when writes fail; its successor on another node is there within a minute, the lease of 15
seconds included."""


def is_seen(rollout: dict[str, Any]) -> bool:
    """Whether the controller knows what is asked for by now; it writes numbers as text."""
    seen = rollout.get("status", {}).get("observedGeneration")
    return bool(seen == str(rollout["metadata"]["generation"]))


def verdict(rollout: dict[str, Any], unseen_seconds: float = 0.0) -> tuple[bool, str] | None:
    """Whether it came out well, and why; None while it goes on."""
    status = rollout.get("status", {})
    if not is_seen(rollout):
        return None if unseen_seconds < UNSEEN_SECONDS else (False, _unseen(status))
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


def _unseen(status: dict[str, Any]) -> str:
    """What is told when nobody looks; pods that it has are kept by their ReplicaSets."""
    serves = "what served before serves on" if status.get("stableRS") else "no pod of it serves"
    return (
        f"was not looked at for {UNSEEN_SECONDS / 60:g} minutes, and {serves}: does the controller "
        "of Argo Rollouts run, and look after this namespace? kubectl get pods -A -l "
        "app.kubernetes.io/name=argo-rollouts; once it does, the rollout goes on by itself"
    )


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


def main(
    names: list[str],
    look: Callable[[str], dict[str, Any] | None] = read,
    now: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> int:
    """0 when all came out well. The first that is given up is told at once, whoever goes on."""
    # Until when each was up to date for all that is known: the controller may be held up by what
    # holds us up.
    seen_at, failed = dict.fromkeys(names, now()), False
    while seen_at:
        for name in tuple(seen_at):
            rollout = look(name)
            if rollout is None or is_seen(rollout):
                seen_at[name] = now()
            if rollout is not None and (told := verdict(rollout, now() - seen_at[name])):
                well, why = told
                print(f"{name} {why}", flush=True)
                failed |= not well
                del seen_at[name]
        pause(PAUSE_SECONDS if seen_at else 0)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
