"""What a process tells about its work: traces and metrics, bounded and off the request path.

`opening` makes everything and says how it is wired; `signals` lists all that can be emitted.
Signals are plain records until they leave, so nothing here imports OpenTelemetry before the
first of them is sent, and a process that sends none never does.
"""
