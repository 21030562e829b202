{{- define "ragmesh.podsOf" -}}
- podSelector:
    matchLabels:
      {{- include "ragmesh-common.selector" . | nindent 6 }}
{{- end -}}

{{/* Who may call a workload: those whose row says so, and at the doors whoever the values name. */}}
{{- define "ragmesh.ingressRules" -}}
{{- $root := index . 0 -}}{{- $component := index . 1 -}}{{- $values := index . 2 -}}
{{- $table := include "ragmesh.table" $root | fromYaml -}}
{{- $listens := (index $table $component).listens | default dict -}}
{{- $policy := $root.Values.networkPolicy -}}
{{- $callers := list -}}
{{- range $caller := (include "ragmesh.names" $root | fromYaml).names -}}
{{- if has $component ((index $table $caller).calls | default list) -}}
{{- $callers = append $callers $caller -}}
{{- end -}}
{{- end -}}
{{- range $callers }}
{{ include "ragmesh-common.rule" (dict "side" "from" "ports" (list $listens.grpc) "peers" (include "ragmesh.podsOf" (dict "root" $root "component" .) | fromYamlArray)) }}
{{- end }}
{{- if and $root.Values.operator.enabled (eq (include "ragmesh.calledAs" (list $root $component)) "indexing") }}
{{- $own := dict "podSelector" (dict "matchLabels" (dict "app.kubernetes.io/name" "ragmesh-operator")) -}}
{{- /* It scales indexers by what waits, which indexing tells with its metrics. */}}
{{- $ports := ternary (list) (list (include "ragmesh.internalPort" $root)) (eq $component "embedded") -}}
{{- $ports = prepend $ports (include "ragmesh.calledPort" (list $root $component)) }}
{{ include "ragmesh-common.rule" (dict "side" "from" "ports" $ports "peers" ($root.Values.operator.from | default (list $own))) }}
{{- end }}
{{- if hasKey $listens "http" }}
{{ include "ragmesh-common.rule" (dict "side" "from" "ports" (list $listens.http $listens.grpc) "peers" $policy.doorFrom) }}
{{- if $policy.doorFrom }}
{{- $own := list "test" -}}
{{- if and (eq $root.Values.rollout.provider "argo") $root.Values.rollout.analysis.questions.existingConfigMap -}}{{- $own = append $own "golden-questions" -}}{{- end -}}
{{- range $own }}
{{ include "ragmesh-common.rule" (dict "side" "from" "ports" (list $listens.grpc) "peers" (include "ragmesh.podsOf" (dict "root" $root "component" .) | fromYamlArray)) }}
{{- end }}
{{- end }}
{{- end }}
{{- if or $policy.metricsFrom $values.serviceMonitor.enabled }}
{{ include "ragmesh-common.rule" (dict "side" "from" "ports" (list (include "ragmesh.internalPort" $root)) "peers" ($policy.metricsFrom | default (list (dict "namespaceSelector" dict)))) }}
{{- end }}
{{- end -}}

{{/* Whom a workload may reach: names, its peers, its servers, and what its settings name. */}}
{{- define "ragmesh.egressRules" -}}
{{- $root := index . 0 -}}{{- $component := index . 1 -}}{{- $row := index . 2 -}}{{- $settings := index . 3 -}}
{{- $table := include "ragmesh.table" $root | fromYaml -}}
{{- $policy := $root.Values.networkPolicy -}}
- ports:
    - {port: 53, protocol: UDP}
    - {port: 53, protocol: TCP}
  {{- with $policy.dnsTo }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- range $row.calls }}
{{ include "ragmesh-common.rule" (dict "side" "to" "ports" (list (index $table .).listens.grpc) "peers" (include "ragmesh.podsOf" (dict "root" $root "component" .) | fromYamlArray)) }}
{{- end }}
{{- range $store := $row.stores | default list }}
{{- with include "ragmesh.storePorts" (list $root $store) | fromJsonArray }}
{{ include "ragmesh-common.rule" (dict "side" "to" "ports" . "peers" (index $policy.storesTo $store)) }}
{{- end }}
{{- end }}
{{- $named := list -}}
{{- if or (eq $component "generation") (eq $component "embedded") -}}
{{- range ((($settings.generation | default dict).endpoints) | default list) -}}
{{- $named = concat $named (compact (concat (list (.url | default "")) (.replica_urls | default list))) -}}
{{- end -}}
{{- end -}}
{{- range (($settings.embedding | default dict).encoders | default list) -}}
{{- with .endpoint -}}{{- $named = append $named .url -}}{{- end -}}
{{- end -}}
{{- if ne $component "gateway" -}}
{{- with ($settings.retrieval | default dict).reranker -}}{{- $named = append $named .url -}}{{- end -}}
{{- end -}}
{{- $ports := list -}}
{{- range $named -}}
{{- $ports = concat $ports (include "ragmesh-common.portsOf" (list . (list (ternary 443 80 (hasPrefix "https:" .)))) | fromJsonArray) -}}
{{- end }}
{{- with $ports | uniq }}
{{ include "ragmesh-common.rule" (dict "side" "to" "ports" . "peers" $policy.modelsTo) }}
{{- end }}
{{- with ($settings.telemetry | default dict).otlp_endpoint }}
{{ include "ragmesh-common.rule" (dict "side" "to" "ports" (include "ragmesh-common.portsOf" (list . (list 4317)) | fromJsonArray) "peers" $policy.collectorTo) }}
{{- end }}
{{- end -}}

{{- define "ragmesh.storePorts" -}}
{{- $root := index . 0 -}}{{- $store := index . 1 -}}
{{- $v := $root.Values -}}
{{- $url := (index $v $store).url | default "" -}}
{{- if eq $store "catalog" -}}{{- include "ragmesh-common.portsOf" (list $url (list 5432)) -}}
{{- else if eq $store "events" -}}{{- include "ragmesh-common.portsOf" (list $url (list 9092)) -}}
{{- else if eq $store "index" -}}{{- include "ragmesh-common.portsOf" (list $url (list 8080 50051)) -}}
{{- else if hasPrefix "redis" $url -}}{{- include "ragmesh-common.portsOf" (list $url (list 6379)) -}}
{{- else if has $store (list "blobs" "backup") -}}
{{- with (index $v $store).endpoint | default (ternary $v.blobs.endpoint "" (and (eq $store "backup") (hasPrefix "s3://" $url))) -}}
{{- include "ragmesh-common.portsOf" (list . (list (ternary 443 80 (hasPrefix "https:" .)))) -}}
{{- else -}}[443]{{- end -}}
{{- else -}}[]{{- end -}}
{{- end -}}

{{/* Whether somebody may scrape a pod of the release. */}}
{{- define "ragmesh.isScraped" -}}
{{- $root := . -}}
{{- if or .Values.networkPolicy.metricsFrom (not .Values.networkPolicy.enabled) -}}true{{- end -}}
{{- range (include "ragmesh.names" . | fromYaml).names -}}
{{- if (include "ragmesh.values" (list $root .) | fromYaml).serviceMonitor.enabled -}}true{{- end -}}
{{- end -}}
{{- end -}}
