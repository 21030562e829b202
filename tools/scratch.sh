#!/usr/bin/env bash
# Prints where tests may write what nobody keeps: in memory where there is room, since most of what
# they otherwise wait for is a disk. Durability is tested by killing processes, which memory survives.
set -euo pipefail
MEMORY=/dev/shm
LEAST_KIB=$((4 * 1024 * 1024))

if [ -w "$MEMORY" ] && ! findmnt --noheadings --output OPTIONS "$MEMORY" | grep -q noexec \
  && [ "$(df --output=avail "$MEMORY" | tail -n 1)" -ge "$LEAST_KIB" ]; then
  echo "$MEMORY"
else
  echo "${TMPDIR:-/tmp}"
fi
