{{/*
The mesh as a literal table: what each workload runs and listens on, whom it calls, which servers
it keeps things in, and which settings it reads. A dotted name is one setting of a section that is
another's. Configuration, Services, NetworkPolicies and what rolls when all follow from it.
*/}}
{{- define "ragmesh.table" -}}
embedded:
  target: all
  listens: {http: 8080, grpc: 50051}
  sections: [gateway, embedding, retrieval, generation, cache, indexing, catalog, events, blobs, index, backup]
gateway:
  target: gateway
  listens: {http: 8080, grpc: 50051}
  calls: [cache, embedding, generation, indexing, retrieval]
  sections: [gateway, retrieval.reranker]
embedding:
  target: embedding
  listens: {grpc: 50061}
  calls: [cache]
  sections: [embedding]
retrieval:
  target: retrieval
  listens: {grpc: 50062}
  calls: [embedding, indexing]
  stores: [index]
  sections: [retrieval, index, indexing.publish_wait_seconds]
generation:
  target: generation
  listens: {grpc: 50063}
  sections: [generation]
cache:
  target: cache
  listens: {grpc: 50064}
  stores: [cache]
  sections: [cache]
indexing:
  target: indexing
  listens: {grpc: 50065}
  calls: [cache, embedding, retrieval]
  stores: [catalog, events, blobs]
  sections: [indexing, catalog, events, blobs, gateway.file_megabytes, gateway.body_megabytes, retrieval.stale_after_seconds]
indexer:
  target: indexer
  calls: [cache, embedding, retrieval]
  stores: [catalog, events, blobs]
  sections: [indexing, catalog, events, blobs, gateway.file_megabytes, gateway.body_megabytes, retrieval.stale_after_seconds]
{{- end -}}

{{/* The workloads of this mode, as a list. */}}
{{- define "ragmesh.names" -}}
{{- if eq .Values.mode "embedded" -}}
names: [embedded]
{{- else -}}
names: [cache, embedding, gateway, generation, indexer, indexing, retrieval]
{{- end -}}
{{- end -}}

{{- define "ragmesh.internalPort" -}}9090{{- end -}}

{{/*
What other processes know a workload by, in keys and certificates: a whole mesh in one is indexing to an
operator, and to nobody else.
*/}}
{{- define "ragmesh.calledAs" -}}
{{- $root := index . 0 -}}{{- $component := index . 1 -}}
{{- if ne $component "embedded" -}}{{ $component }}{{- else if $root.Values.operator.enabled -}}indexing{{- end -}}
{{- end -}}

{{/* The port at which other processes call a workload; nothing if none does. */}}
{{- define "ragmesh.calledPort" -}}
{{- $called := include "ragmesh.calledAs" . -}}
{{- $row := index (include "ragmesh.table" (index . 0) | fromYaml) $called | default dict -}}
{{- $listens := $row.listens | default dict -}}
{{- if not (hasKey $listens "http") -}}{{- with $listens.grpc -}}{{ . | int }}{{- end -}}{{- end -}}
{{- end -}}

{{/* Where an operator calls the mesh, from any namespace. */}}
{{- define "ragmesh.operatorAddress" -}}
{{- $component := ternary "embedded" "indexing" (eq .Values.mode "embedded") -}}
{{- $workload := include "ragmesh.workload" (list . $component) | fromYaml -}}
{{ $workload.service }}.{{ .Release.Namespace }}:{{ include "ragmesh.calledPort" (list . $component) }}
{{- end -}}

{{/* How to install an operator: beside the mesh, or where the values let it come from. */}}
{{- define "ragmesh.operatorCommand" -}}
helm install ragmesh-operator charts/ragmesh-operator --namespace {{ ternary "NAMESPACE" .Release.Namespace (not (empty .Values.operator.from)) }} --set mesh.indexing={{ include "ragmesh.operatorAddress" . }} --set identity.existingSecret={{ .Values.identity.existingSecret }}
{{- if .Values.tls.enabled }} --set tls.enabled=true --set tls.existingSecret=SECRET --set tls.domain={{ .Values.tls.domain }}{{ end -}}
{{- end -}}

{{/* The values of a workload: those of all, with its own laid over them. */}}
{{- define "ragmesh.values" -}}
{{- $root := index . 0 -}}
{{- $values := deepCopy $root.Values.workload -}}
{{- $image := deepCopy $root.Values.image -}}
{{- include "ragmesh-common.overlay" (list $image $values.image) -}}
{{- $_ := set $values "image" $image -}}
{{- include "ragmesh-common.overlay" (list $values (index $root.Values (index . 1) | default dict)) -}}
{{- toYaml $values -}}
{{- end -}}

{{/* Everything that the templates of the library chart ask about a workload. */}}
{{- define "ragmesh.workload" -}}
{{- $root := index . 0 -}}
{{- $component := index . 1 -}}
{{- $row := index (include "ragmesh.table" $root | fromYaml) $component -}}
{{- $values := include "ragmesh.values" . | fromYaml -}}
{{- $fullname := include "ragmesh-common.fullname" $root -}}
{{- $name := printf "%s-%s" $fullname $component -}}
{{- $listens := $row.listens | default dict -}}
{{- $settings := include "ragmesh.settings" (list $root $component $row $values) -}}
{{- $parsed := $settings | fromYaml -}}
{{- /* A port of its own for other processes, beside those of the doors. */}}
{{- $called := ternary (include "ragmesh.calledPort" .) "" (hasKey $listens "http") -}}
{{- $doors := add (ternary 2 1 (hasKey $listens "http")) (ternary 0 1 (empty $called)) -}}
{{- $internal := $parsed.internal | default dict -}}
{{- $ending := add (int $values.preStopSeconds) (int ($internal.drain_seconds | default 0)) (mul $doors (int ($internal.grace_seconds | default 10))) 15 -}}
{{- $encrypted := ternary $root.Values.tls.door.enabled $root.Values.tls.enabled (hasKey $listens "http") -}}
name: {{ $name }}
component: {{ $component }}
service: {{ if hasKey $listens "http" }}{{ printf "%s-internal" $name }}{{ else }}{{ $name }}{{ end }}
serviceAccount: {{ $values.serviceAccount.name | default (ternary $name "default" $values.serviceAccount.create) }}
stateful: {{ eq $component "embedded" }}
args: [run, --target={{ $row.target }}, --config, /etc/ragmesh/settings/ragmesh.yaml, --json]
listens: {{ toJson $listens }}
{{- /* Its doors answer probes as well, so one process needs the internal listener for metrics only. */}}
{{- $metered := hasKey $internal "http" }}
ports: {{ merge (ternary (dict "internal" (include "ragmesh.internalPort" $root | int)) dict $metered) (ternary dict (dict "indexing" (int $called)) (empty $called)) $listens | toJson }}
probed: {{ ternary (dict "port" "internal" "scheme" "HTTP") (dict "port" "http" "scheme" (ternary "HTTPS" "HTTP" $encrypted)) (ne $component "embedded") | toJson }}
startup: {{ if not $listens }}http{{ else if $encrypted }}tcp{{ else }}grpc{{ end }}
terminationGracePeriodSeconds: {{ $values.terminationGracePeriodSeconds | default $ending }}
shortestEnding: {{ $ending }}
{{- with include "ragmesh.rollout.spec" (dict "root" $root "component" $component "name" $name "values" $values "active" (ternary $fullname $name (hasKey $listens "http"))) }}
rollout:
  {{- . | nindent 2 }}
{{- end }}
{{- /* Settings are a part of the pods, so that each version of a workload keeps its own. */}}
annotations:
  ragmesh.dev/settings: {{ $settings | quote }}
  {{- with include "ragmesh.secretsSum" (list $root $component $row $values) }}
  checksum/secrets: {{ . }}
  {{- end }}
{{- $files := (include "ragmesh.files" (list $root $component $row $values) | fromYaml).files }}
mounts:
  - {name: settings, mountPath: /etc/ragmesh/settings, readOnly: true}
  - {name: secrets, mountPath: /etc/ragmesh/secrets, readOnly: true}
  {{- if $values.existingSecret }}
  - {name: keys, mountPath: /etc/ragmesh/keys, readOnly: true}
  {{- end }}
  - {name: data, mountPath: /var/lib/ragmesh}
  - {name: scratch, mountPath: /tmp}
volumes:
  - {{- include "ragmesh.settingsVolume" $root | nindent 4 }}
  - {{- include "ragmesh.secretVolume" $files | nindent 4 }}
  {{- with $values.existingSecret }}
  - name: keys
    secret: {secretName: {{ . }}, defaultMode: 0440}
  {{- end }}
  {{- $persistent := and (eq $component "embedded") $values.persistence.enabled }}
  {{- if not $persistent }}
  - name: data
    {{- toYaml $values.dataVolume | nindent 4 }}
  {{- else if $values.persistence.existingClaim }}
  - name: data
    persistentVolumeClaim: {claimName: {{ $values.persistence.existingClaim }}}
  {{- end }}
  - name: scratch
    emptyDir: {sizeLimit: 1Gi}
{{- if and $persistent (not $values.persistence.existingClaim) }}
claims:
  - metadata:
      name: data
      {{- with $values.persistence.annotations }}
      annotations: {{ toJson . }}
      {{- end }}
    spec:
      accessModes: {{ toJson $values.persistence.accessModes }}
      {{- with $values.persistence.storageClassName }}
      storageClassName: {{ . | quote }}
      {{- end }}
      resources: {requests: {storage: {{ $values.persistence.size }}}}
{{- end }}
ingress:
  {{- include "ragmesh.ingressRules" (list $root $component $values) | nindent 2 }}
egress:
  {{- include "ragmesh.egressRules" (list $root $component $row $parsed) | nindent 2 }}
values:
  {{- toYaml $values | nindent 2 }}
{{- end -}}

{{/* An object of a workload, as the library chart makes it; nothing in the other mode. */}}
{{- define "ragmesh.object" -}}
{{- $root := index . 0 -}}
{{- if has (index . 1) (include "ragmesh.names" $root | fromYaml).names -}}
{{- $workload := include "ragmesh.workload" (list $root (index . 1)) | fromYaml -}}
{{- include (printf "ragmesh-common.%s" (index . 2)) (dict "root" $root "workload" $workload) -}}
{{- end -}}
{{- end -}}

{{/* The volume of the settings: `settings`, out of the pod's own annotation. */}}
{{- define "ragmesh.settingsVolume" -}}
name: settings
downwardAPI:
  items: [{path: ragmesh.yaml, fieldRef: {fieldPath: "metadata.annotations['ragmesh.dev/settings']"}}]
{{- end -}}

{{/* The volume of files out of Secrets: `secrets`, of a list of {secret, key, path}. */}}
{{- define "ragmesh.secretVolume" -}}
name: secrets
projected:
  # The group of the pod reads them: owned by root, they are nobody else's.
  defaultMode: 0440
  sources:
    {{- if not . }} []{{ end }}
    {{- range . }}
    - secret:
        name: {{ .secret }}
        items: [{key: {{ .key }}, path: {{ .path }}}]
        {{- if .optional }}
        optional: true
        {{- end }}
    {{- end }}
{{- end -}}
