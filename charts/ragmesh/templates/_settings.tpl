{{/*
The settings of one workload, as `ragmesh run --config` reads them: what the chart knows, with
.Values.settings and the workload's own `settings` over it. Only what the workload reads is in it,
so that a change rolls those pods that it concerns.
*/}}
{{- define "ragmesh.settings" -}}
{{- $root := index . 0 -}}{{- $component := index . 1 -}}{{- $row := index . 2 -}}{{- $values := index . 3 -}}
{{- $known := include "ragmesh.knownSettings" . | fromYaml -}}
{{- $said := deepCopy ($root.Values.settings | default dict) -}}
{{- include "ragmesh-common.overlay" (list $said ($values.settings | default dict)) -}}
{{- $_ := include "ragmesh-common.overlay" (list $known $said) -}}
{{- $read := dict "data_dir" $known.data_dir -}}
{{- range concat (include "ragmesh.sectionsOfAll" $root | fromYamlArray) ($row.sections | default list) -}}
{{- $parts := splitList "." . -}}
{{- $section := index $known (first $parts) -}}
{{- if and $section (eq (len $parts) 1) -}}
{{- $_ := set $read . $section -}}
{{- else if and $section (hasKey $section (last $parts)) -}}
{{- $_ := set $read (first $parts) (merge (index $read (first $parts) | default dict) (dict (last $parts) (index $section (last $parts)))) -}}
{{- end -}}
{{- end -}}
{{- toYaml $read -}}
{{- end -}}

{{/* What every process reads. */}}
{{- define "ragmesh.sectionsOfAll" -}}
[internal, peers, identity, tls, telemetry, log]
{{- end -}}

{{/* Whether a process listens for probes and metrics: one that stands for all, where it is scraped. */}}
{{- define "ragmesh.hasInternal" -}}
{{- $root := index . 0 -}}{{- $component := index . 1 -}}{{- $values := index . 3 -}}
{{- if eq $component "embedded" -}}
{{- if or $values.serviceMonitor.enabled $root.Values.networkPolicy.metricsFrom -}}true{{- end -}}
{{- else if ne $component "hook" -}}true{{- end -}}
{{- end -}}

{{/* What the chart itself says: listeners, peers, servers, and where mounted files are. */}}
{{- define "ragmesh.knownSettings" -}}
{{- $root := index . 0 -}}{{- $component := index . 1 -}}{{- $row := index . 2 -}}{{- $values := index . 3 -}}
{{- $v := $root.Values -}}
{{- $fullname := include "ragmesh-common.fullname" $root -}}
{{- $table := include "ragmesh.table" $root | fromYaml -}}
{{- $host := $v.listenHost -}}
{{- $secrets := "/etc/ragmesh/secrets" -}}
data_dir: /var/lib/ragmesh
{{- $called := include "ragmesh.calledAs" . -}}
{{- $port := include "ragmesh.calledPort" . -}}
{{- $metered := include "ragmesh.hasInternal" . -}}
{{- if or $metered $port }}
internal:
  {{- if $metered }}
  http: {{ printf "%s:%s" $host (include "ragmesh.internalPort" $root) | quote }}
  {{- end }}
  {{- if $port }}
  grpc: {{ printf "%s:%s" $host $port | quote }}
  {{- end }}
  {{- if ne $component "embedded" }}
  drain_seconds: 5
  grace_seconds: 65
  {{- end }}
  {{- if not $v.tls.enabled }}
  trusted_network: true
  {{- end }}
{{- end }}
{{- with $row.calls }}
peers:
  {{- range . }}
  {{ . }}: {{ printf "%s-%s:%d" $fullname . (int (index $table .).listens.grpc) }}
  {{- end }}
{{- end }}
{{- if ne $component "hook" }}
identity:
  {{- if hasKey ($row.listens | default dict) "http" }}
  admin_key_file: {{ $secrets }}/identity/admin.key.sha256
  {{- end }}
  {{- if $called }}
  key_file: {{ $secrets }}/identity/service.key
  public_keys_file: {{ $secrets }}/identity/public-keys.json
  {{- end }}
{{- if and $v.tls.enabled $called }}
tls:
  certificate_file: {{ $secrets }}/tls/tls.crt
  key_file: {{ $secrets }}/tls/tls.key
  ca_file: {{ $secrets }}/tls/ca.crt
  domain: {{ $v.tls.domain }}
{{- end }}
{{- end }}
{{- if hasKey ($row.listens | default dict) "http" }}
gateway:
  http: {{ printf "%s:%d" $host (int $row.listens.http) | quote }}
  grpc: {{ printf "%s:%d" $host (int $row.listens.grpc) | quote }}
  {{- if $v.tls.door.enabled }}
  tls: {certificate_file: {{ $secrets }}/door/tls.crt, key_file: {{ $secrets }}/door/tls.key}
  {{- end }}
{{- end }}
{{- if ne $v.mode "embedded" }}
catalog:
  url: {{ $v.catalog.url | quote }}
  {{- with $v.catalog.existingSecret }}
  password_file: {{ $secrets }}/catalog/password
  {{- end }}
  {{- with $v.catalog.tls }}
  tls: {{ . | quote }}
  {{- end }}
  {{- with $v.catalog.caSecret }}
  tls_ca_file: {{ $secrets }}/catalog/ca.crt
  {{- end }}
  {{- with $v.catalog.clientCertificateSecret }}
  tls_certificate_file: {{ $secrets }}/catalog/tls.crt
  tls_key_file: {{ $secrets }}/catalog/tls.key
  {{- end }}
events:
  url: {{ $v.events.url | quote }}
  kafka:
    partitions: {{ int $v.events.partitions }}
    replication: {{ int $v.events.replication }}
    {{- if $v.events.tls }}
    tls: true
    {{- end }}
    {{- with $v.events.username }}
    username: {{ . | quote }}
    password_file: {{ $secrets }}/events/password
    mechanism: {{ $v.events.mechanism }}
    {{- end }}
    {{- with $v.events.caSecret }}
    ca_file: {{ $secrets }}/events/ca.crt
    {{- end }}
    {{- with $v.events.clientCertificateSecret }}
    certificate_file: {{ $secrets }}/events/tls.crt
    key_file: {{ $secrets }}/events/tls.key
    {{- end }}
blobs:
  url: {{ $v.blobs.url | quote }}
  {{- if hasPrefix "s3://" ($v.blobs.url | default "") }}
  s3:
    virtual_hosts: {{ $v.blobs.virtualHosts }}
    {{- with $v.blobs.endpoint }}
    endpoint: {{ . | quote }}
    {{- end }}
    {{- with $v.blobs.region }}
    region: {{ . | quote }}
    {{- end }}
    {{- with $v.blobs.existingSecret }}
    access_key_id_file: {{ $secrets }}/blobs/access-key-id
    secret_access_key_file: {{ $secrets }}/blobs/secret-access-key
    {{- end }}
  {{- end }}
{{- if $v.backup.enabled }}
backup:
  url: {{ $v.backup.url | quote }}
  {{- if hasPrefix "s3://" $v.backup.url }}
  s3:
    virtual_hosts: {{ or $v.backup.virtualHosts $v.blobs.virtualHosts }}
    {{- with $v.backup.endpoint | default $v.blobs.endpoint }}
    endpoint: {{ . | quote }}
    {{- end }}
    {{- with $v.backup.region | default $v.blobs.region }}
    region: {{ . | quote }}
    {{- end }}
    {{- if or $v.backup.existingSecret $v.blobs.existingSecret }}
    {{- $of := ternary "backup" "blobs" (not (empty $v.backup.existingSecret)) }}
    access_key_id_file: {{ $secrets }}/{{ $of }}/access-key-id
    secret_access_key_file: {{ $secrets }}/{{ $of }}/secret-access-key
    {{- end }}
  {{- end }}
{{- end }}
index:
  url: {{ $v.index.url | quote }}
  {{- if $v.index.tls }}
  tls: true
  {{- end }}
  {{- with $v.index.existingSecret }}
  api_key_file: {{ $secrets }}/index/api-key
  {{- end }}
  {{- with $v.index.caSecret }}
  ca_file: {{ $secrets }}/index/ca.crt
  {{- end }}
cache:
  url: {{ $v.cache.url | quote }}
  {{- if hasPrefix "redis" ($v.cache.url | default "") }}
  redis:
    prefix: {{ $v.cache.prefix | quote }}
    {{- with $v.cache.passwordSecret }}
    password_file: {{ $secrets }}/cache/password
    {{- end }}
    {{- with $v.cache.caSecret }}
    ca_file: {{ $secrets }}/cache/ca.crt
    {{- end }}
  {{- end }}
{{- end }}
{{- end -}}

{{/*
Files that a workload finds below /etc/ragmesh/secrets, as {secret, key, path}; `static` are those
that a process reads at its start only.
*/}}
{{- define "ragmesh.files" -}}
{{- $root := index . 0 -}}{{- $component := index . 1 -}}{{- $row := index . 2 -}}
{{- $v := $root.Values -}}
{{- $files := list -}}
{{- if ne $component "hook" -}}
{{- if hasKey ($row.listens | default dict) "http" -}}
{{- $files = append $files (dict "secret" $v.identity.existingSecret "key" "admin.key.sha256" "path" "identity/admin.key.sha256") -}}
{{- if $v.tls.door.enabled -}}
{{- range list "tls.crt" "tls.key" -}}
{{- $files = append $files (dict "secret" (include "ragmesh.doorSecret" $root) "key" . "path" (printf "door/%s" .)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- with include "ragmesh.calledAs" . -}}
{{- $files = append $files (dict "secret" $v.identity.existingSecret "key" (printf "%s.key" .) "path" "identity/service.key") -}}
{{- $files = append $files (dict "secret" $v.identity.existingSecret "key" "public-keys.json" "path" "identity/public-keys.json") -}}
{{- if $v.tls.enabled -}}
{{- $shown := include "ragmesh.serviceSecret" (list $root .) -}}
{{- range list "tls.crt" "tls.key" "ca.crt" -}}
{{- $files = append $files (dict "secret" $shown "key" . "path" (printf "tls/%s" .)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range $store := $row.stores | default list -}}
{{- $place := index $v $store -}}
{{- if has $store (list "blobs" "backup") -}}
{{- with $place.existingSecret -}}
{{- $files = append $files (dict "secret" . "key" $place.accessKeyIdKey "path" (printf "%s/access-key-id" $store) "static" true) -}}
{{- $files = append $files (dict "secret" . "key" $place.secretAccessKeyKey "path" (printf "%s/secret-access-key" $store) "static" true) -}}
{{- end -}}
{{- else if eq $store "cache" -}}
{{- with $place.passwordSecret -}}
{{- $files = append $files (dict "secret" . "key" $place.passwordKey "path" "cache/password" "static" true) -}}
{{- end -}}
{{- else if eq $store "index" -}}
{{- with $place.existingSecret -}}
{{- $files = append $files (dict "secret" . "key" $place.apiKeyKey "path" "index/api-key") -}}
{{- end -}}
{{- else -}}
{{- with $place.existingSecret -}}
{{- $files = append $files (dict "secret" . "key" $place.passwordKey "path" (printf "%s/password" $store) "static" (eq $store "events")) -}}
{{- end -}}
{{- with $place.clientCertificateSecret -}}
{{- range $key := list "tls.crt" "tls.key" -}}
{{- $files = append $files (dict "secret" $place.clientCertificateSecret "key" $key "path" (printf "%s/%s" $store $key) "static" true) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- with $place.caSecret -}}
{{- $files = append $files (dict "secret" . "key" "ca.crt" "path" (printf "%s/ca.crt" $store) "static" true) -}}
{{- end -}}
{{- end -}}
files: {{ toJson $files }}
{{- end -}}

{{- define "ragmesh.serviceSecret" -}}
{{- $root := index . 0 -}}{{- $component := index . 1 -}}
{{- index ($root.Values.tls.existingSecrets | default dict) $component | default (printf "%s-%s-tls" (include "ragmesh-common.fullname" $root) $component) -}}
{{- end -}}

{{- define "ragmesh.doorSecret" -}}
{{- .Values.tls.door.existingSecret | default (printf "%s-door-tls" (include "ragmesh-common.fullname" .)) -}}
{{- end -}}

{{/*
A digest of what a process reads from Secrets at its start only, so that the next upgrade after a
change of one rolls just these pods. Without a cluster to look at there is none, and nothing is said.
*/}}
{{- define "ragmesh.secretsSum" -}}
{{- $root := index . 0 -}}{{- $values := index . 3 -}}
{{- if $root.Values.clusterChecks -}}
{{- $found := list -}}
{{- range $file := (include "ragmesh.files" . | fromYaml).files -}}
{{- if $file.static -}}
{{- with lookup "v1" "Secret" $root.Release.Namespace $file.secret -}}
{{- $found = append $found (index (.data | default dict) $file.key | default "") -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- with $values.existingSecret -}}
{{- with lookup "v1" "Secret" $root.Release.Namespace . -}}{{- $found = append $found (toJson .data) -}}{{- end -}}
{{- end -}}
{{- with $found -}}{{- toJson . | sha256sum -}}{{- end -}}
{{- end -}}
{{- end -}}
