{{/*
Three questions, three probes (docs/explanation/health.md). Startup asks the listener that opens
last, once models are loaded; it is asked by gRPC where it is not encrypted, for kubelet shows no
certificate. Readiness is the process's own judgement, which what others do does not take back, and
liveness its event loop.
*/}}
{{- define "ragmesh-common.probes" -}}
{{- $probes := .workload.values.probes -}}
{{- $probed := .workload.probed -}}
startupProbe:
  {{- if eq .workload.startup "grpc" }}
  grpc: {port: {{ .workload.listens.grpc | int }}}
  {{- else if eq .workload.startup "tcp" }}
  tcpSocket: {port: grpc}
  {{- else }}
  httpGet: {path: /healthz, port: {{ $probed.port }}, scheme: {{ $probed.scheme }}}
  {{- end }}
  {{- toYaml $probes.startup | nindent 2 }}
readinessProbe:
  httpGet: {path: {{ $probed.readiness | default "/readyz" }}, port: {{ $probed.port }}, scheme: {{ $probed.scheme }}}
  {{- toYaml $probes.readiness | nindent 2 }}
livenessProbe:
  httpGet: {path: /healthz, port: {{ $probed.port }}, scheme: {{ $probed.scheme }}}
  {{- toYaml $probes.liveness | nindent 2 }}
{{- end -}}
