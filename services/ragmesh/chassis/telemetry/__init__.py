"""What a process tells about its work: traces and metrics, bounded and off the request path.

Nothing here imports OpenTelemetry until telemetry is on; the rest of the chassis sees the ports
of `hooks` and the current trace of `current`.
"""
