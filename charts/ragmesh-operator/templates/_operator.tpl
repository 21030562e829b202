{{- define "ragmesh-operator.probePort" -}}8081{{- end -}}

{{/* Variables of both commands: whom the operator looks after. */}}
{{- define "ragmesh-operator.sharedEnv" -}}
- {name: RAGMESH_LOG__LEVEL, value: {{ .Values.log.level }}}
{{- with .Values.namespaces }}
- {name: RAGMESH_NAMESPACES, value: {{ toJson . | quote }}}
{{- end }}
{{- end -}}

{{/* Settings of the operator, as variables. */}}
{{- define "ragmesh-operator.env" -}}
{{- $v := .Values -}}
{{- $secrets := "/etc/ragmesh/secrets" -}}
{{ include "ragmesh-operator.sharedEnv" . }}
- {name: RAGMESH_PROBE, value: {{ printf "http://%s:%s/healthz" $v.listenHost (include "ragmesh-operator.probePort" .) | quote }}}
- {name: RAGMESH_MESH__INDEXING, value: {{ $v.mesh.indexing | quote }}}
- {name: RAGMESH_IDENTITY__KEY_FILE, value: {{ $secrets }}/identity/service.key}
- {name: RAGMESH_IDENTITY__PUBLIC_KEYS_FILE, value: {{ $secrets }}/identity/public-keys.json}
{{- if $v.tls.enabled }}
- {name: RAGMESH_TLS__CERTIFICATE_FILE, value: {{ $secrets }}/tls/tls.crt}
- {name: RAGMESH_TLS__KEY_FILE, value: {{ $secrets }}/tls/tls.key}
- {name: RAGMESH_TLS__CA_FILE, value: {{ $secrets }}/tls/ca.crt}
- {name: RAGMESH_TLS__DOMAIN, value: {{ $v.tls.domain | quote }}}
{{- end }}
- {name: RAGMESH_PACE__SETTLED_SECONDS, value: {{ $v.pace.settledSeconds | toString | quote }}}
- {name: RAGMESH_PACE__MOVING_SECONDS, value: {{ $v.pace.movingSeconds | toString | quote }}}
{{- with $v.clusterName }}
- {name: RAGMESH_CLUSTER, value: {{ . | quote }}}
{{- end }}
{{- with $v.mesh.backlogUrl }}
- {name: RAGMESH_MESH__BACKLOG_URL, value: {{ . | quote }}}
{{- end }}
{{- with $v.workers.workload }}
- {name: RAGMESH_WORKERS__WORKLOAD, value: {{ . | quote }}}
- {name: RAGMESH_WORKERS__NAMESPACE, value: {{ include "ragmesh-operator.workersNamespace" $ | quote }}}
- {name: RAGMESH_WORKERS__PARTITIONS, value: {{ $v.workers.partitions | int | toString | quote }}}
- {name: RAGMESH_WORKERS__DOCUMENTS_PER_SECOND, value: {{ $v.workers.documentsPerSecond | toString | quote }}}
{{- end }}
{{- end -}}

{{- define "ragmesh-operator.workersNamespace" -}}
{{- .Values.workers.namespace | default .Release.Namespace -}}
{{- end -}}

{{- define "ragmesh-operator.serviceAccount" -}}
{{- $account := .Values.serviceAccount -}}
{{- $account.name | default (ternary (include "ragmesh-common.fullname" .) "default" $account.create) -}}
{{- end -}}

{{/* Files of Secrets below /etc/ragmesh/secrets; the group of the pod reads them, and nobody else. */}}
{{- define "ragmesh-operator.secrets" -}}
name: secrets
projected:
  defaultMode: 0440
  sources:
    - secret:
        name: {{ .Values.identity.existingSecret }}
        items:
          - {key: operator.key, path: identity/service.key}
          - {key: public-keys.json, path: identity/public-keys.json}
    {{- if .Values.tls.enabled }}
    - secret:
        name: {{ .Values.tls.existingSecret }}
        items:
          - {key: tls.crt, path: tls/tls.crt}
          - {key: tls.key, path: tls/tls.key}
          - {key: ca.crt, path: tls/ca.crt}
    {{- end }}
{{- end -}}

{{/* Names and the API server, which both commands need. */}}
{{- define "ragmesh-operator.clusterEgress" -}}
{{- $policy := .Values.networkPolicy -}}
- ports:
    - {port: 53, protocol: UDP}
    - {port: 53, protocol: TCP}
  {{- with $policy.dnsTo }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{ include "ragmesh-common.rule" (dict "side" "to" "ports" $policy.apiServerPorts "peers" $policy.apiServerTo) }}
{{- end -}}

{{- define "ragmesh-operator.egress" -}}
{{- $mesh := .Values.mesh -}}
{{- $ports := include "ragmesh-common.portsOf" (list $mesh.indexing (list 50065)) | fromJsonArray -}}
{{- with $mesh.backlogUrl -}}
{{- $ports = concat $ports (include "ragmesh-common.portsOf" (list . (list (ternary 443 80 (hasPrefix "https:" .)))) | fromJsonArray) -}}
{{- end -}}
{{ include "ragmesh-operator.clusterEgress" . }}
{{ include "ragmesh-common.rule" (dict "side" "to" "ports" ($ports | uniq) "peers" .Values.networkPolicy.meshTo) }}
{{- end -}}

{{/* The operator as the templates of the library chart ask about a workload. */}}
{{- define "ragmesh-operator.workload" -}}
{{- $values := deepCopy .Values -}}
{{- $_ := set $values "replicas" 1 -}}
{{- $_ := set $values "extraEnv" (concat (include "ragmesh-operator.env" . | fromYamlArray) .Values.extraEnv) -}}
{{- $_ := set $values.serviceAccount "automountToken" true -}}
name: {{ include "ragmesh-common.fullname" . }}
component: operator
serviceAccount: {{ include "ragmesh-operator.serviceAccount" . }}
alone: true
command: [/opt/ragmesh/bin/ragmesh-operator]
args: []
ports: {probe: {{ include "ragmesh-operator.probePort" . }}}
probed: {port: probe, scheme: HTTP, readiness: /healthz}
startup: http
terminationGracePeriodSeconds: {{ .Values.terminationGracePeriodSeconds | int }}
mounts:
  - {name: secrets, mountPath: /etc/ragmesh/secrets, readOnly: true}
  - {name: scratch, mountPath: /tmp}
volumes:
  - {{- include "ragmesh-operator.secrets" . | nindent 4 }}
  - {name: scratch, emptyDir: {sizeLimit: 64Mi}}
ingress: []
egress:
  {{- include "ragmesh-operator.egress" . | nindent 2 }}
values:
  {{- toYaml $values | nindent 2 }}
{{- end -}}

{{/* The command that runs before the operator is uninstalled. */}}
{{- define "ragmesh-operator.leaving" -}}
{{- $values := deepCopy .Values -}}
{{- $_ := set $values "extraEnv" (concat (include "ragmesh-operator.sharedEnv" . | fromYamlArray) .Values.extraEnv) -}}
{{- $_ := set $values.serviceAccount "automountToken" true -}}
{{- $name := include "ragmesh-common.fullname" . -}}
name: {{ $name }}-leave
component: leave
serviceAccount: {{ include "ragmesh-operator.serviceAccount" . }}
command: [/opt/ragmesh/bin/ragmesh-operator]
args: [leave, --deployment={{ .Release.Namespace }}/{{ $name }}, --seconds={{ .Values.hooks.leave.seconds | int }}]
mounts:
  - {name: scratch, mountPath: /tmp}
volumes:
  - {name: scratch, emptyDir: {sizeLimit: 64Mi}}
values:
  {{- toYaml $values | nindent 2 }}
{{- end -}}

{{- define "ragmesh-operator.object" -}}
{{- $workload := include "ragmesh-operator.workload" (index . 0) | fromYaml -}}
{{- include (printf "ragmesh-common.%s" (index . 1)) (dict "root" (index . 0) "workload" $workload) -}}
{{- end -}}
