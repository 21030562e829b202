{{/*
The one place that decides by what kind of object a workload is run. Whatever points at it, such as
an autoscaler, asks `ragmesh-common.reference`.
*/}}
{{- define "ragmesh-common.kind" -}}
{{- if .workload.stateful -}}StatefulSet{{- else if .workload.rollout -}}Rollout{{- else -}}Deployment{{- end -}}
{{- end -}}

{{- define "ragmesh-common.reference" -}}
{{- $kind := include "ragmesh-common.kind" . -}}
apiVersion: {{ ternary "argoproj.io/v1alpha1" "apps/v1" (eq $kind "Rollout") }}
kind: {{ $kind }}
name: {{ .workload.name }}
{{- end -}}

{{- define "ragmesh-common.strategy" -}}
{{- if .workload.stateful -}}
updateStrategy: {type: RollingUpdate}
podManagementPolicy: Parallel
serviceName: {{ .workload.service }}
{{- else if .workload.alone -}}
# Never two at a time.
strategy: {type: Recreate}
{{- else -}}
minReadySeconds: {{ .workload.values.minReadySeconds | int }}
{{- if .workload.rollout }}
{{ toYaml .workload.rollout }}
{{- else }}
strategy:
  type: RollingUpdate
  rollingUpdate: {maxUnavailable: 0, maxSurge: {{ .workload.values.maxSurge }}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "ragmesh-common.workload" -}}
{{- $workload := .workload -}}
{{- $values := $workload.values -}}
{{- $reference := include "ragmesh-common.reference" . | fromYaml -}}
apiVersion: {{ $reference.apiVersion }}
kind: {{ $reference.kind }}
metadata:
  {{- include "ragmesh-common.metadata" (dict "root" .root "component" $workload.component "name" $workload.name "labels" $values.labels "annotations" $values.annotations) | nindent 2 }}
spec:
  {{- $scaling := $values.autoscaling | default dict }}
  {{- if not (or $scaling.enabled $scaling.external) }}
  replicas: {{ $values.replicas | int }}
  {{- end }}
  revisionHistoryLimit: {{ $values.revisionHistoryLimit | int }}
  {{- include "ragmesh-common.strategy" . | nindent 2 }}
  selector:
    matchLabels:
      {{- include "ragmesh-common.selector" (dict "root" .root "component" $workload.component) | nindent 6 }}
  template:
    {{- include "ragmesh-common.podTemplate" . | nindent 4 }}
  {{- with $workload.claims }}
  persistentVolumeClaimRetentionPolicy: {whenDeleted: {{ $values.persistence.whenDeleted }}, whenScaled: Retain}
  volumeClaimTemplates:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}
