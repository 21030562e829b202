{{/*
How Argo Rollouts rolls a workload out: `canary`, `blueGreen`, or nothing where its own kind does it.
Templates here take a dictionary of root, component, name, values and active, its Service.
*/}}
{{- define "ragmesh.rollout.strategy" -}}
{{- $rollout := .root.Values.rollout -}}
{{- if and (eq $rollout.provider "argo") (ne .component "embedded") -}}
{{- /* New indexers take events as soon as they run, so that none could wait for its promotion. */ -}}
{{- $usual := ternary "canary" $rollout.strategy (eq .component "indexer") -}}
{{- $strategy := get $rollout.services .component | default $usual -}}
{{- if ne $strategy "none" }}{{ $strategy }}{{ end -}}
{{- end -}}
{{- end -}}

{{- define "ragmesh.rollout.templateName" -}}
{{ include "ragmesh-common.fullname" (index . 0) }}-{{ index . 1 }}
{{- end -}}

{{/* Where golden questions are asked. */}}
{{- define "ragmesh.rollout.server" -}}
{{- $root := index . 0 -}}
{{- $server := printf "%s%s:%d" (include "ragmesh-common.fullname" $root) (index . 1) (int $root.Values.service.grpcPort) -}}
{{- ternary (printf "https://%s" $server) $server $root.Values.tls.door.enabled -}}
{{- end -}}

{{/* Whether golden questions say something about the workload. */}}
{{- define "ragmesh.rollout.isAsked" -}}
{{- $questions := .root.Values.rollout.analysis.questions -}}
{{- if and $questions.existingConfigMap (has .component $questions.services) }}yes{{ end -}}
{{- end -}}

{{/* Which templates judge the new pods, which pods these are, and the `delay` that callers need, where no step waits for them. */}}
{{- define "ragmesh.rollout.analysis" -}}
{{- $limit := get .root.Values.rollout.analysis.p95Seconds .component -}}
{{- $asked := include "ragmesh.rollout.isAsked" . -}}
templates:
  - templateName: {{ include "ragmesh.rollout.templateName" (list .root "error-rate") }}
  {{- if $limit }}
  - templateName: {{ include "ragmesh.rollout.templateName" (list .root "p95") }}
  {{- end }}
  {{- if $asked }}
  - templateName: {{ include "ragmesh.rollout.templateName" (list .root "golden-questions") }}
  {{- end }}
args:
  - {name: workload, value: {{ .name }}}
  - {name: hash, valueFrom: {podTemplateHashValue: Latest}}
  {{- with .delay }}
  - {name: delay, value: {{ . }}}
  {{- end }}
  {{- if $limit }}
  - {name: p95-seconds, value: {{ $limit | quote }}}
  {{- end }}
  {{- if $asked }}
  - {name: server, value: {{ include "ragmesh.rollout.server" (list .root "") | quote }}}
  {{- end }}
{{- end -}}

{{/* What a Rollout's spec has where that of a Deployment has its strategy; empty for a Deployment. */}}
{{- define "ragmesh.rollout.spec" -}}
{{- $rollout := .root.Values.rollout -}}
{{- $strategy := include "ragmesh.rollout.strategy" . -}}
{{- if $strategy -}}
progressDeadlineSeconds: {{ $rollout.progressDeadlineSeconds | int }}
progressDeadlineAbort: true
rollbackWindow: {revisions: {{ $rollout.rollbackRevisions | int }}}
analysis: {successfulRunHistoryLimit: 3, unsuccessfulRunHistoryLimit: 3}
strategy:
  {{- if eq $strategy "canary" }}
  canary:
    maxUnavailable: 0
    maxSurge: {{ .values.maxSurge }}
    steps:
      {{- range $rollout.canary.weights }}
      - setWeight: {{ . | int }}
      - pause: {duration: {{ $rollout.settleSeconds | int }}s}
      - analysis:
          {{- include "ragmesh.rollout.analysis" $ | nindent 10 }}
      {{- end }}
  {{- else }}
  blueGreen:
    activeService: {{ .active }}
    previewService: {{ .active }}-preview
    autoPromotionEnabled: {{ $rollout.blueGreen.autoPromotion }}
    scaleDownDelaySeconds: {{ $rollout.blueGreen.scaleDownDelaySeconds | int }}
    {{- if and (eq .component "gateway") (include "ragmesh.rollout.isAsked" .) }}
    prePromotionAnalysis:
      templates:
        - templateName: {{ include "ragmesh.rollout.templateName" (list .root "golden-questions") }}
      args:
        - {name: server, value: {{ include "ragmesh.rollout.server" (list .root "-preview") | quote }}}
    {{- end }}
    postPromotionAnalysis:
      {{- include "ragmesh.rollout.analysis" (merge (dict "delay" (printf "%ds" (int $rollout.settleSeconds))) .) | nindent 6 }}
  {{- end }}
{{- end -}}
{{- end -}}

{{/* Strategies that could not do what they promise. */}}
{{- define "ragmesh.faults.rollouts" -}}
{{- $root := . -}}
{{- $rollout := .Values.rollout -}}
{{- if eq $rollout.provider "argo" -}}
{{- if eq .Values.mode "embedded" }}
- "rollout.provider is argo, and mode: embedded is one process on one volume, of which there cannot be two: set rollout.provider to none, or mode: distributed"
{{- else }}
{{- if eq (get $rollout.services "indexer") "blueGreen" }}
- "rollout.services.indexer is blueGreen, and new indexers take events as soon as they run, promoted or not: set canary or none"
{{- end }}
{{- $weights := $rollout.canary.weights | default list -}}
{{- if not $weights }}
- "rollout.canary.weights is empty, and a canary has to begin with some share of the calls: name one, such as [34]"
{{- end }}
{{- $before := 0 -}}
{{- range $weights }}
{{- if le (int .) $before }}
- {{ printf "rollout.canary.weights has %d after %d: each must be more than the one before" (int .) $before | quote }}
{{- end }}
{{- $before = int . -}}
{{- end }}
{{- range $name := (include "ragmesh.names" . | fromYaml).names }}
{{- if eq (include "ragmesh.rollout.strategy" (dict "root" $root "component" $name)) "canary" }}
{{- $values := include "ragmesh.values" (list $root $name) | fromYaml }}
{{- $replicas := int (ternary $values.autoscaling.minReplicas (default 0 $values.replicas) $values.autoscaling.enabled) }}
{{- $share := div 100 (add1 $replicas) }}
{{- if lt $replicas 2 }}
- {{ printf "a canary of %s with %d replica would be all of it: run two, or set rollout.services.%s to blueGreen or none" $name $replicas $name | quote }}
{{- else if and $weights (lt (int (first $weights)) (int $share)) }}
- {{ printf "rollout.canary.weights begins with %d, and without a router one new pod of %s beside %d takes %d percent of the calls: begin with more, or run more replicas" (int (first $weights)) $name $replicas (int $share) | quote }}
{{- end }}
{{- end }}
{{- end }}
{{- $analysis := $rollout.analysis }}
{{- if ge (add $analysis.inconclusiveLimit $analysis.failureLimit | int) (int $analysis.count) }}
- {{ printf "rollout.analysis lets all of %d measurements be bad or say nothing: count must be more than inconclusiveLimit and failureLimit together" (int $analysis.count) | quote }}
{{- end }}
{{- if and $rollout.analysis.questions.existingConfigMap (not (and $rollout.analysis.questions.existingSecret $rollout.analysis.questions.collection)) }}
- "rollout.analysis.questions needs collection, which is asked, and existingSecret, whose `key` may read it"
{{- end }}
{{- if and $rollout.analysis.questions.existingConfigMap (not $rollout.analysis.questions.baseline) (not $rollout.analysis.questions.floors) }}
- "rollout.analysis.questions holds answers to nothing: set baseline to true, or floors such as {answering: 0.9}"
{{- end }}
{{- end }}
{{- end }}
{{- end -}}
