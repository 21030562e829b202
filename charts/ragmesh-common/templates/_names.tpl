{{/*
What a release calls its objects. Every template of this chart takes a dictionary with
  root      the context of the release
  workload  what `ragmesh.workload` says of one workload: plain data, nothing to compute
*/}}
{{- define "ragmesh-common.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "ragmesh-common.selector" -}}
app.kubernetes.io/name: {{ default .root.Chart.Name .root.Values.nameOverride }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "ragmesh-common.labels" -}}
{{ include "ragmesh-common.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
app.kubernetes.io/part-of: ragmesh
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- with .labels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Labels of pods. No version is among them, so that a newer chart that changes nothing else of a
workload leaves its pods alone. */}}
{{- define "ragmesh-common.podLabels" -}}
{{ include "ragmesh-common.selector" . }}
app.kubernetes.io/part-of: ragmesh
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- with .labels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* `metadata` of an object: a dictionary of root, component, name, and maybe labels, annotations. */}}
{{- define "ragmesh-common.metadata" -}}
name: {{ .name }}
namespace: {{ .root.Release.Namespace }}
labels:
  {{- include "ragmesh-common.labels" . | nindent 2 }}
{{- with merge (dict) (.annotations | default dict) (.root.Values.commonAnnotations | default dict) }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Faults, as a list: given labels that would be the selectors' own. A list of their place and of them. */}}
{{- define "ragmesh-common.selectorFaults" -}}
{{- $place := index . 0 -}}
{{- $given := index . 1 | default dict -}}
{{- range list "app.kubernetes.io/name" "app.kubernetes.io/instance" "app.kubernetes.io/component" }}
{{- if hasKey $given . }}
- {{ printf "%s sets %s, by which the chart finds its pods: choose another name" $place . | quote }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Faults, as a list: names that an API server takes for no name. */}}
{{- define "ragmesh-common.nameFaults" -}}
{{- $fullname := include "ragmesh-common.fullname" . -}}
{{- if not (regexMatch "^[a-z]([-a-z0-9]*[a-z0-9])?$" $fullname) }}
- {{ printf "objects would be called %s, and a name has lower-case letters, digits and hyphens and begins with a letter: set fullnameOverride" $fullname | quote }}
{{- end }}
{{- if and .Values.nameOverride (not (regexMatch "^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$" .Values.nameOverride)) }}
- {{ printf "nameOverride is %s, which no label can hold: it has at most 63 letters, digits, hyphens, dots and underscores" .Values.nameOverride | quote }}
{{- end }}
{{- end -}}
