{{/*
A command beside the processes of a mesh, such as one that makes a server ready before they start: a
dictionary of root, name, args, stores, serviceAccount. Hooks run before the release has objects; the
settings are an annotation of the pod, as those of all pods are, and nothing is left behind.
*/}}
{{- define "ragmesh.hook.workload" -}}
{{- $values := include "ragmesh.values" (list .root "indexing") | fromYaml -}}
{{- $row := dict "stores" .stores "sections" .stores -}}
{{- $_ := set $values "settings" dict -}}
{{- $arguments := list .root "hook" $row $values -}}
{{- $files := (include "ragmesh.files" $arguments | fromYaml).files -}}
name: {{ include "ragmesh-common.fullname" .root }}-{{ .name }}
component: {{ .name }}
serviceAccount: {{ .serviceAccount | default .root.Values.hooks.serviceAccountName }}
settings: {{ include "ragmesh.settings" $arguments | quote }}
volumes:
  - {{- include "ragmesh.settingsVolume" .root | nindent 4 }}
  {{- with $files }}
  - {{- include "ragmesh.secretVolume" . | nindent 4 }}
  {{- end }}
  - {name: data, emptyDir: {sizeLimit: 1Gi}}
  - {name: scratch, emptyDir: {sizeLimit: 1Gi}}
mounts:
  - {name: settings, mountPath: /etc/ragmesh/settings, readOnly: true}
  {{- if $files }}
  - {name: secrets, mountPath: /etc/ragmesh/secrets, readOnly: true}
  {{- end }}
  - {name: data, mountPath: /var/lib/ragmesh}
  - {name: scratch, mountPath: /tmp}
ingress: []
egress:
  {{- include "ragmesh.egressRules" (list .root "hook" $row dict) | nindent 2 }}
values:
  {{- toYaml $values | nindent 2 }}
{{- end -}}

{{- define "ragmesh.hook" -}}
{{- $root := .root -}}
{{- $workload := include "ragmesh.hook.workload" . | fromYaml -}}
{{- $given := dict "root" $root "workload" $workload -}}
{{- $hook := dict "helm.sh/hook" "pre-install,pre-upgrade,pre-rollback" "helm.sh/hook-weight" (toString .weight) -}}
apiVersion: batch/v1
kind: Job
metadata:
  {{- include "ragmesh-common.metadata" (dict "root" $root "component" $workload.component "name" $workload.name "annotations" (merge (dict "helm.sh/hook-delete-policy" "before-hook-creation,hook-succeeded" "helm.sh/hook-output-log-policy" "hook-failed") $hook)) | nindent 2 }}
spec:
  backoffLimit: {{ $root.Values.hooks.backoffLimit | int }}
  activeDeadlineSeconds: {{ $root.Values.hooks.activeDeadlineSeconds | int }}
  ttlSecondsAfterFinished: {{ $root.Values.hooks.ttlSecondsAfterFinished | int }}
  template:
    metadata:
      labels:
        {{- include "ragmesh-common.podLabels" (dict "root" $root "component" $workload.component) | nindent 8 }}
      annotations:
        ragmesh.dev/settings: {{ $workload.settings | quote }}
    spec:
      restartPolicy: Never
      {{- include "ragmesh-common.podSurroundings" $given | nindent 6 }}
      containers:
        - name: ragmesh
          args: {{ toJson .args }}
          {{- include "ragmesh-common.container" $given | nindent 10 }}
          resources:
            {{- toYaml $root.Values.hooks.resources | nindent 12 }}
      {{- include "ragmesh-common.volumes" $given | nindent 6 }}
{{- if $root.Values.networkPolicy.enabled }}
---
{{- $before := dict "helm.sh/hook" "pre-install,pre-upgrade,pre-rollback" "helm.sh/hook-weight" (toString (sub .weight 1)) "helm.sh/hook-delete-policy" "before-hook-creation,hook-succeeded,hook-failed" }}
{{ include "ragmesh-common.egressPolicy" (dict "root" $root "component" $workload.component "name" $workload.name "annotations" $before "egress" (toYaml $workload.egress)) }}
{{- end }}
{{- end -}}
