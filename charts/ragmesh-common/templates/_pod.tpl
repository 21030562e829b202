{{/* What makes a container harmless; Pod Security `restricted` asks for all of it. */}}
{{- define "ragmesh-common.container" -}}
{{- $values := .workload.values -}}
image: {{ include "ragmesh-common.image" (dict "root" .root "image" $values.image) | quote }}
imagePullPolicy: {{ $values.image.pullPolicy }}
securityContext:
  {{- toYaml $values.containerSecurityContext | nindent 2 }}
{{- with $values.extraEnv }}
env:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.extraEnvFrom }}
envFrom:
  {{- toYaml . | nindent 2 }}
{{- end }}
volumeMounts:
  {{- toYaml .workload.mounts | nindent 2 }}
  {{- with $values.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{/* What surrounds the containers of every pod, also of hooks and tests. */}}
{{- define "ragmesh-common.podSurroundings" -}}
{{- $values := .workload.values -}}
serviceAccountName: {{ .workload.serviceAccount }}
automountServiceAccountToken: {{ $values.serviceAccount.automountToken }}
# Else a Service of the name ragmesh would put variables into pods that look like settings.
enableServiceLinks: false
{{- with concat (.root.Values.imagePullSecrets | default list) ($values.imagePullSecrets | default list) | uniq }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  {{- toYaml $values.podSecurityContext | nindent 2 }}
{{- with $values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $values.runtimeClassName }}
runtimeClassName: {{ . }}
{{- end }}
{{- with $values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.dnsConfig }}
dnsConfig:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.hostAliases }}
hostAliases:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "ragmesh-common.volumes" -}}
{{- with concat .workload.volumes (.workload.values.extraVolumes | default list) -}}
volumes:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* The template of a workload's pods. */}}
{{- define "ragmesh-common.podTemplate" -}}
{{- $workload := .workload -}}
{{- $values := $workload.values -}}
metadata:
  labels:
    {{- include "ragmesh-common.podLabels" (dict "root" .root "component" $workload.component "labels" $values.podLabels) | nindent 4 }}
  annotations:
    {{- with $workload.annotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
    kubectl.kubernetes.io/default-container: ragmesh
    {{- with $values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  {{- include "ragmesh-common.podSurroundings" . | nindent 2 }}
  terminationGracePeriodSeconds: {{ $workload.terminationGracePeriodSeconds | int }}
  {{- with $values.topologySpreadConstraints }}
  topologySpreadConstraints:
    {{- range . }}
    - labelSelector:
        matchLabels:
          {{- include "ragmesh-common.selector" (dict "root" $.root "component" $workload.component) | nindent 10 }}
      {{- toYaml . | nindent 6 }}
    {{- end }}
  {{- end }}
  {{- with $values.extraInitContainers }}
  initContainers:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  containers:
    - name: ragmesh
      {{- with $workload.command }}
      command: {{ toJson . }}
      {{- end }}
      args:
        {{- toYaml $workload.args | nindent 8 }}
      ports:
        {{- range $name, $port := $workload.ports }}
        - {name: {{ $name }}, containerPort: {{ $port | int }}, protocol: TCP}
        {{- end }}
      {{- include "ragmesh-common.container" . | nindent 6 }}
      resources:
        {{- toYaml $values.resources | nindent 8 }}
      {{- include "ragmesh-common.probes" . | nindent 6 }}
      {{- with $values.preStopSeconds }}
      lifecycle:
        # Until every node has taken the pod out of its Services.
        preStop: {sleep: {seconds: {{ . | int }}}}
      {{- end }}
    {{- with $values.extraContainers }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- include "ragmesh-common.volumes" . | nindent 2 }}
{{- end -}}
