{{/*
What cannot work is refused before anything is made, in a sentence that says what to do. All of it
is told at once.
*/}}
{{- define "ragmesh.refuse" -}}
{{- $faults := concat (include "ragmesh.faults.shape" . | fromYamlArray) (include "ragmesh.faults.settings" . | fromYamlArray) (include "ragmesh.faults.workloads" . | fromYamlArray) (include "ragmesh.faults.doors" . | fromYamlArray) (include "ragmesh.faults.rollouts" . | fromYamlArray) -}}
{{- if and .Values.clusterChecks (not $faults) -}}
{{- $faults = include "ragmesh.faults.cluster" . | fromYamlArray -}}
{{- end -}}
{{- with $faults -}}
{{- fail (printf "\n\nThese values cannot work:\n  - %s\n" (join "\n  - " .)) -}}
{{- end -}}
{{- end -}}

{{- define "ragmesh.faults.shape" -}}
{{- $v := .Values -}}
{{- include "ragmesh-common.nameFaults" . }}
{{- include "ragmesh-common.selectorFaults" (list "commonLabels" $v.commonLabels) }}
{{- range $place, $url := dict "events.url" $v.events.url "index.url" $v.index.url "cache.url" $v.cache.url "blobs.endpoint" $v.blobs.endpoint "backup.endpoint" $v.backup.endpoint }}
{{- if include "ragmesh.hasPassword" $url }}
- {{ printf "%s has a password, which would stand in the annotations of pods: put it into a Secret, as the values below %s say" $place (splitList "." $place | first) | quote }}
{{- end }}
{{- end }}
{{- if not $v.identity.existingSecret }}
- {{ printf "identity.existingSecret is missing: run `ragmesh keys create --offline --services --into identity`, then `kubectl create secret generic ragmesh-identity --from-file=identity --namespace %s`, and set identity.existingSecret=ragmesh-identity" .Release.Namespace | quote }}
{{- end }}
{{- $forms := include "ragmesh.urlForms" . | fromYaml }}
{{- range $store, $form := omit (include "ragmesh.urls" . | fromYaml) "backup" }}
{{- $url := (index $v $store).url | default "" }}
{{- if eq $v.mode "distributed" }}
{{- if not (regexMatch $form $url) }}
- {{ printf "%s.url must be %s; it is %q" $store (index $forms $store) $url | quote }}
{{- end }}
{{- else if $url }}
- {{ printf "%s.url is set, but mode: embedded keeps everything on its own volume: leave it empty, or set mode: distributed" $store | quote }}
{{- end }}
{{- end }}
{{- if eq $v.mode "distributed" }}
{{- if and $v.catalog.url (not $v.catalog.existingSecret) (not $v.catalog.clientCertificateSecret) }}
- "catalog.existingSecret is missing: name the Secret that holds the password of PostgreSQL, or with catalog.clientCertificateSecret the certificate that takes its place"
{{- end }}
{{- if ne (empty $v.events.username) (empty $v.events.existingSecret) }}
- "events.username and events.existingSecret go together: the one is who we are at Kafka, the other holds the password"
{{- end }}
{{- if and (eq $v.events.mechanism "PLAIN") $v.events.username (not $v.events.tls) (not $v.events.caSecret) }}
- "events.mechanism PLAIN sends the password as it is: set events.tls or events.caSecret, or choose SCRAM-SHA-512"
{{- end }}
{{- if and $v.backup.enabled (not (regexMatch (include "ragmesh.urls" . | fromYaml).backup $v.backup.url)) }}
- {{ printf "backup.url must be s3://BUCKET/PREFIX; it is %q" $v.backup.url | quote }}
{{- end }}
{{- $files := printf "%s/" (trimSuffix "/" $v.blobs.url) }}
{{- $copies := printf "%s/" (trimSuffix "/" $v.backup.url) }}
{{- if and $v.backup.enabled (or (hasPrefix $files $copies) (hasPrefix $copies $files)) }}
- {{ printf "backup.url is %s, and blobs.url is %s: keep backups where what damages the files does not reach them" $v.backup.url $v.blobs.url | quote }}
{{- end }}
{{- include "ragmesh.faults.stores" . }}
{{- else if $v.backup.enabled }}
- "backup.enabled needs mode: distributed: the volume of mode: embedded is with its one pod; run `ragmesh backup create` in that, as docs/how-to/back-up-and-restore.md says"
{{- else if and $v.tls.enabled (not $v.operator.enabled) }}
- "tls.enabled encrypts calls between services, and mode: embedded has none without operator.enabled: set tls.door.enabled for the public doors, or mode: distributed"
{{- end }}
{{- if and $v.tls.enabled $v.tls.certManager.enabled (not $v.tls.certManager.issuerRef.name) }}
- "tls.certManager.issuerRef.name is missing: name the issuer of cert-manager that signs the certificates of the services"
{{- end }}
{{- end -}}

{{/* What URLs of servers look like, as the processes have it that read them. */}}
{{- define "ragmesh.urls" -}}
catalog: "^postgresql[+]asyncpg://[^/@:?#]+@[^/?#]+/[^/?#]+$"
events: "^kafka://[^\\s/,@]+:[0-9]{1,5}(,[^\\s/,@]+:[0-9]{1,5})*(/[A-Za-z0-9._-]{0,100})?$"
blobs: "^(s3|gs|az)://[a-zA-Z0-9._-]+(/[^?#]*)?$"
backup: "^(s3|gs|az)://[a-zA-Z0-9._-]+(/[^?#]*)?$"
index: "^weaviate://(\\[[0-9A-Fa-f:.]+\\]|[^\\s:/?#@]+)(:[0-9]{1,5}){0,2}/?$"
cache: "^(memory://|rediss?://([^\\s:@/]+@)?[^\\s:@/]+(:[0-9]{1,5})?(/[0-9]{0,3})?)$"
{{- end -}}

{{- define "ragmesh.urlForms" -}}
catalog: postgresql+asyncpg://USER@HOST:PORT/DATABASE, without a password
events: kafka://HOST:PORT
blobs: s3://BUCKET/PREFIX
index: weaviate://HOST
cache: redis://HOST
{{- end -}}

{{/* What is said of a server and could not come true. */}}
{{- define "ragmesh.faults.stores" -}}
{{- $v := .Values -}}
{{- range $place, $endpoint := dict "blobs.endpoint" $v.blobs.endpoint "backup.endpoint" $v.backup.endpoint }}
{{- if and $endpoint (not (regexMatch "^https?://[^\\s/]+/?$" $endpoint)) }}
- {{ printf "%s must be http://HOST:PORT or https://HOST; it is %q" $place $endpoint | quote }}
{{- end }}
{{- end }}
{{- range $store := ternary (list "blobs" "backup") (list "blobs") $v.backup.enabled }}
{{- $place := index $v $store }}
{{- if and $place.existingSecret $place.url (not (hasPrefix "s3://" $place.url)) }}
- {{ printf "%s.existingSecret holds an access key of S3, and %s.url is %s: leave it out, and have the service account or extraEnvFrom of indexing and indexer prove who they are" $store $store $place.url | quote }}
{{- end }}
{{- end }}
{{- if and (eq $v.catalog.tls "off") (or $v.catalog.caSecret $v.catalog.clientCertificateSecret) }}
- "catalog.tls is off, and catalog.caSecret or catalog.clientCertificateSecret has certificates: leave catalog.tls out, or them"
{{- end }}
{{- if and $v.index.caSecret (not $v.index.tls) }}
- "index.caSecret says what Weaviate's certificate comes from, and index.tls is off: set index.tls"
{{- end }}
{{- if and $v.cache.caSecret (not (hasPrefix "rediss://" $v.cache.url)) }}
- "cache.caSecret says what Redis's certificate comes from, and cache.url is not encrypted: begin it with rediss://"
{{- end }}
{{- end -}}

{{/* Settings that the chart makes itself, and secrets, which belong into a Secret. */}}
{{- define "ragmesh.ownSettings" -}}
target: runs which workload is asked for
data_dir: is the volume of the workload
peers: are the Services of the release
internal.grpc: is a port of the pod
internal.http: is a port of the pod
internal.trusted_network: follows from tls.enabled
identity.admin_key_file: comes from identity.existingSecret
identity.key_file: comes from identity.existingSecret
identity.public_keys_file: comes from identity.existingSecret
tls.certificate_file: comes from the value tls.enabled
tls.key_file: comes from the value tls.enabled
tls.ca_file: comes from the value tls.enabled
tls.domain: is the value tls.domain
gateway.http: is a port of the pod
gateway.grpc: is a port of the pod
gateway.tls: comes from the value tls.door
catalog.url: is the value catalog.url
catalog.password_file: comes from catalog.existingSecret
events.url: is the value events.url
events.kafka: comes from the values below events
blobs.url: is the value blobs.url
blobs.s3: comes from the values below blobs
index.url: is the value index.url
index.api_key_file: comes from index.existingSecret
cache.url: is the value cache.url
cache.redis.password_file: comes from cache.passwordSecret
cache.redis.prefix: is the value cache.prefix
{{- end -}}

{{- define "ragmesh.faults.settings" -}}
{{- $root := . -}}
{{- $places := dict "settings" (.Values.settings | default dict) "workload.settings" (.Values.workload.settings | default dict) -}}
{{- range $name, $row := include "ragmesh.table" . | fromYaml -}}
{{- $own := (index $root.Values $name | default dict).settings | default dict -}}
{{- $_ := set $places (printf "%s.settings" $name) $own -}}
{{- range $section, $said := $own -}}
{{- if not (has $section (concat (include "ragmesh.sectionsOfAll" $root | fromYamlArray) $row.sections)) -}}
{{- range $field := keys (ternary $said dict (kindIs "map" $said)) | sortAlpha -}}
{{- if not (has (printf "%s.%s" $section $field) $row.sections) }}
- {{ printf "%s.settings.%s.%s is read by no process of %s: set it in settings, for whoever reads it" $name $section $field $name | quote }}
{{- end }}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range $place, $settings := $places -}}
{{- range $name, $why := include "ragmesh.ownSettings" $root | fromYaml -}}
{{- if include "ragmesh.reaches" (list $settings (splitList "." $name)) }}
- {{ printf "%s.%s is not to be set: it %s" $place $name $why | quote }}
{{- end }}
{{- end -}}
{{- range include "ragmesh.passwordsIn" (list $place $settings) | fromYamlArray }}
- {{ printf "%s has a password, which would stand in the annotations of pods: leave it out, and have a file of `existingSecret` say it where a setting takes one" . | quote }}
{{- end }}
{{- range include "ragmesh.secretsIn" (list $place $settings) | fromYamlArray }}
- {{ printf "%s is a secret and would stand in the annotations of pods: put it into a Secret, name that with `existingSecret` of the workload, and set %s_file to /etc/ragmesh/keys/KEY" . . | quote }}
{{- end }}
{{- end -}}
{{- end -}}

{{/* Whether a map has a value at the end of these keys. */}}
{{- define "ragmesh.reaches" -}}
{{- $node := index . 0 -}}
{{- $keys := index . 1 -}}
{{- if and (kindIs "map" $node) (hasKey $node (first $keys)) -}}
{{- if eq (len $keys) 1 -}}true{{- else -}}{{- include "ragmesh.reaches" (list (index $node (first $keys)) (rest $keys)) -}}{{- end -}}
{{- end -}}
{{- end -}}

{{/* Whether a text is a URL that has a password. */}}
{{- define "ragmesh.hasPassword" -}}
{{- if regexMatch "^[a-z0-9+]+://[^/?#@]*:[^/?#]*@" (toString .) -}}true{{- end -}}
{{- end -}}

{{/* Places of URLs in settings that have a password. */}}
{{- define "ragmesh.passwordsIn" -}}
{{- $place := index . 0 -}}
{{- $node := index . 1 -}}
{{- if kindIs "map" $node -}}
{{- range $key, $value := $node -}}{{ include "ragmesh.passwordsIn" (list (printf "%s.%s" $place $key) $value) }}{{- end -}}
{{- else if kindIs "slice" $node -}}
{{- range $position, $value := $node -}}{{ include "ragmesh.passwordsIn" (list (printf "%s[%d]" $place $position) $value) }}{{- end -}}
{{- else if and (kindIs "string" $node) (include "ragmesh.hasPassword" $node) }}
- {{ $place }}
{{- end -}}
{{- end -}}

{{- define "ragmesh.secretsIn" -}}
{{- $place := index . 0 -}}
{{- $node := index . 1 -}}
{{- if kindIs "map" $node -}}
{{- range $key, $value := $node -}}
{{- if and $value (has $key (list "api_key" "password" "access_key_id" "secret_access_key")) }}
- {{ printf "%s.%s" $place $key }}
{{- else -}}
{{ include "ragmesh.secretsIn" (list (printf "%s.%s" $place $key) $value) }}
{{- end -}}
{{- end -}}
{{- else if kindIs "slice" $node -}}
{{- range $position, $value := $node -}}
{{ include "ragmesh.secretsIn" (list (printf "%s[%d]" $place $position) $value) }}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "ragmesh.faults.workloads" -}}
{{- $root := . -}}
{{- if .Values.identity.existingSecret -}}
{{- range $name := (include "ragmesh.names" . | fromYaml).names -}}
{{- $workload := include "ragmesh.workload" (list $root $name) | fromYaml -}}
{{- $values := $workload.values -}}
{{- include "ragmesh-common.selectorFaults" (list (printf "%s.podLabels" $name) $values.podLabels) }}
{{- if hasKey ($values.podAnnotations | default dict) "ragmesh.dev/settings" }}
- {{ printf "%s.podAnnotations sets ragmesh.dev/settings, which the chart makes out of %s.settings: set them there" $name $name | quote }}
{{- end }}
{{- $most := int (ternary $values.autoscaling.maxReplicas $values.replicas (or $values.autoscaling.enabled $values.autoscaling.external)) -}}
{{- if eq $name "embedded" }}
{{- if or (ne (int $values.replicas) 1) $values.autoscaling.enabled $values.autoscaling.external }}
- "embedded.replicas must be 1, without autoscaling: files have one process; set mode: distributed to have more"
{{- end }}
{{- else if and (eq $name "cache") (eq $root.Values.cache.url "memory://") (gt $most 1) }}
- {{ printf "cache.url is memory://, which each of %d replicas would have for itself: name a Redis, or set cache.replicas to 1" $most | quote }}
{{- else if and (eq $name "indexer") (gt $most (int $root.Values.events.partitions)) }}
- {{ printf "indexer may have %d replicas, and topics have %d partitions: more indexers than partitions have nothing to do; raise events.partitions, or have fewer" $most (int $root.Values.events.partitions) | quote }}
{{- end }}
{{- if and $values.autoscaling.enabled $values.autoscaling.external }}
- {{ printf "%s.autoscaling.enabled and external are both set: two would scale one workload; choose one" $name | quote }}
{{- end }}
{{- if $values.autoscaling.enabled }}
{{- if gt (int $values.autoscaling.minReplicas) (int $values.autoscaling.maxReplicas) }}
- {{ printf "%s.autoscaling.minReplicas is above maxReplicas" $name | quote }}
{{- end }}
{{- if not (or $values.autoscaling.cpuPercent $values.autoscaling.memoryPercent $values.autoscaling.metrics) }}
- {{ printf "%s.autoscaling aims at nothing: set cpuPercent, memoryPercent or metrics" $name | quote }}
{{- end }}
{{- end }}
{{- if lt (int $workload.terminationGracePeriodSeconds) (int $workload.shortestEnding) }}
- {{ printf "%s.terminationGracePeriodSeconds is %d, and its pods may need %d to end what is under way: leave it out, or lower internal.grace_seconds in settings" $name (int $workload.terminationGracePeriodSeconds) (int $workload.shortestEnding) | quote }}
{{- end }}
{{- if and $values.podDisruptionBudget.enabled (has (toString $values.podDisruptionBudget.maxUnavailable) (list "0" "0%")) }}
- {{ printf "%s.podDisruptionBudget.maxUnavailable is 0: no node with one of its pods could ever be emptied; set 1" $name | quote }}
{{- end }}
{{- if has (toString $values.maxSurge) (list "0" "0%") }}
- {{ printf "%s.maxSurge is 0: as no pod may be away, none could ever be renewed; set 1" $name | quote }}
{{- end }}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "ragmesh.faults.doors" -}}
{{- $v := .Values -}}
{{- if eq (int $v.service.httpPort) (int $v.service.grpcPort) }}
- {{ printf "service.httpPort and service.grpcPort are both %d: REST and gRPC need a port each" (int $v.service.httpPort) | quote }}
{{- end }}
{{- if and $v.ingress.enabled (not $v.ingress.hosts) }}
- "ingress.hosts is empty: name the hosts that REST is reached by"
{{- end }}
{{- if and $v.ingress.grpc.enabled (not $v.ingress.grpc.hosts) }}
- "ingress.grpc.hosts is empty: name the hosts that gRPC is reached by"
{{- end }}
{{- if and $v.tls.door.enabled (not $v.tls.door.existingSecret) (not $v.tls.certManager.enabled) }}
- "tls.door.existingSecret is missing: name the Secret with tls.crt and tls.key of the doors, or set tls.certManager.enabled"
{{- end }}
{{- if and $v.tls.door.enabled (not $v.tls.door.existingSecret) $v.tls.certManager.enabled (not (or $v.tls.door.issuerRef.name $v.tls.certManager.issuerRef.name)) }}
- "tls.door.issuerRef.name is missing: name the issuer of cert-manager that signs the certificate of the doors"
{{- end }}
{{- end -}}

{{/* What only the cluster knows. The account `default` is in every namespace: without it there is nothing to look at. */}}
{{- define "ragmesh.faults.cluster" -}}
{{- $root := . -}}
{{- $namespace := .Release.Namespace -}}
{{- if lookup "v1" "ServiceAccount" $namespace "default" -}}
{{- $wanted := dict -}}
{{- range $name := (include "ragmesh.names" . | fromYaml).names -}}
{{- $values := include "ragmesh.values" (list $root $name) | fromYaml -}}
{{- $row := index (include "ragmesh.table" $root | fromYaml) $name -}}
{{- range (include "ragmesh.files" (list $root $name $row $values) | fromYaml).files -}}
{{- $_ := set $wanted .secret (append (index $wanted .secret | default list) .key | uniq) -}}
{{- end -}}
{{- with $values.existingSecret -}}{{- $_ := set $wanted . (index $wanted . | default list) -}}{{- end -}}
{{- end -}}
{{- if $root.Values.tls.certManager.enabled -}}
{{- range $name := (include "ragmesh.names" . | fromYaml).names -}}{{- $wanted = omit $wanted (printf "%s-%s-tls" (include "ragmesh-common.fullname" $root) (include "ragmesh.calledAs" (list $root $name))) -}}{{- end -}}
{{- $wanted = omit $wanted (printf "%s-door-tls" (include "ragmesh-common.fullname" $root)) -}}
{{- end -}}
{{- range $secret, $keys := $wanted -}}
{{- $found := lookup "v1" "Secret" $namespace $secret -}}
{{- if not $found }}
- {{ printf "the Secret %s is not in the namespace %s: make it, with the keys %s" $secret $namespace (join ", " $keys | default "that settings name") | quote }}
{{- else }}
{{- range $keys }}
{{- if not (hasKey ($found.data | default dict) .) }}
- {{ printf "the Secret %s in the namespace %s has no key %s" $secret $namespace . | quote }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}
{{- if .Release.IsInstall }}
{{- include "ragmesh.faults.quota" . }}
{{- end }}
{{- $fullname := include "ragmesh-common.fullname" . -}}
{{- if and (eq .Values.mode "distributed") (lookup "apps/v1" "StatefulSet" $namespace (printf "%s-embedded" $fullname)) }}
- {{ printf "%s runs in mode: embedded, whose documents are on its volume and would not come along: install a second release in mode: distributed, add the documents there, then uninstall this one" $fullname | quote }}
{{- end }}
{{- if and (eq .Values.mode "embedded") (or (lookup "apps/v1" "Deployment" $namespace (printf "%s-gateway" $fullname)) (and (.Capabilities.APIVersions.Has "argoproj.io/v1alpha1/Rollout") (lookup "argoproj.io/v1alpha1" "Rollout" $namespace (printf "%s-gateway" $fullname)))) }}
- {{ printf "%s runs in mode: distributed, whose documents are on its servers and would not come along: install a second release in mode: embedded, add the documents there, then uninstall this one" $fullname | quote }}
{{- end }}
{{- if eq .Values.mode "embedded" -}}
{{- $persistence := (include "ragmesh.values" (list $root "embedded") | fromYaml).persistence -}}
{{- if and $persistence.enabled (not $persistence.existingClaim) (not $persistence.storageClassName) -}}
{{- $usual := list -}}
{{- range (lookup "storage.k8s.io/v1" "StorageClass" "" "").items | default list -}}
{{- if eq (index (.metadata.annotations | default dict) "storageclass.kubernetes.io/is-default-class" | default "") "true" -}}{{- $usual = append $usual .metadata.name -}}{{- end -}}
{{- end -}}
{{- if not $usual }}
- "the cluster has no default StorageClass, so the volume would wait for ever: set embedded.persistence.storageClassName (see `kubectl get storageclass`), or existingClaim, or enabled: false to keep nothing"
{{- end }}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* A quantity of Kubernetes as a number of thousandths, for comparing. */}}
{{- define "ragmesh.thousandths" -}}
{{- $text := toString . -}}
{{- $unit := regexFind "[A-Za-z]*$" $text -}}
{{- $factors := dict "m" 1 "" 1e3 "k" 1e6 "M" 1e9 "G" 1e12 "T" 1e15 "P" 1e18 "E" 1e21 "Ki" 1.024e6 "Mi" 1.048576e9 "Gi" 1.073741824e12 "Ti" 1.099511627776e15 "Pi" 1.125899906842624e18 "Ei" 1.152921504606846976e21 -}}
{{- mulf (trimSuffix $unit $text | float64) (index $factors $unit | default 1e3) | printf "%.0f" -}}
{{- end -}}

{{/* A ResourceQuota that the first pods of the release do not fit in: they would never be made. */}}
{{- define "ragmesh.faults.quota" -}}
{{- $root := . -}}
{{- $needed := dict "pods" 0.0 "requests.cpu" 0.0 "requests.memory" 0.0 "limits.cpu" 0.0 "limits.memory" 0.0 -}}
{{- range $name := (include "ragmesh.names" . | fromYaml).names -}}
{{- $values := include "ragmesh.values" (list $root $name) | fromYaml -}}
{{- $pods := float64 (ternary $values.autoscaling.minReplicas $values.replicas $values.autoscaling.enabled) -}}
{{- $_ := set $needed "pods" (addf $needed.pods (mulf $pods 1e3)) -}}
{{- range $what := list "requests" "limits" -}}
{{- range $resource := list "cpu" "memory" -}}
{{- with index (index $values.resources $what | default dict) $resource -}}
{{- $name := printf "%s.%s" $what $resource -}}
{{- $_ := set $needed $name (addf (index $needed $name) (mulf $pods (include "ragmesh.thousandths" . | float64))) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range $quota := (lookup "v1" "ResourceQuota" .Release.Namespace "").items | default list -}}
{{- range $name, $needs := $needed -}}
{{- with index (($quota.status | default dict).hard | default dict) $name -}}
{{- $free := subf (include "ragmesh.thousandths" . | float64) (include "ragmesh.thousandths" (index ($quota.status.used | default dict) $name | default "0") | float64) -}}
{{- if gt $needs $free }}
- {{ printf "the ResourceQuota %s leaves %s for %s in the namespace %s, and the release needs %s: raise it, or lower replicas and resources" $quota.metadata.name (include "ragmesh.quantity" (list $name $free)) $name $root.Release.Namespace (include "ragmesh.quantity" (list $name $needs)) | quote }}
{{- end }}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "ragmesh.quantity" -}}
{{- if contains "memory" (index . 0) -}}{{ divf (index . 1) 1.048576e9 | printf "%.0fMi" }}{{- else if contains "cpu" (index . 0) -}}{{ printf "%.0fm" (index . 1) }}{{- else -}}{{ divf (index . 1) 1e3 | printf "%.0f" }}{{- end -}}
{{- end -}}
