{{/* Objects that stand beside a workload, each there or not as its values say. */}}

{{- define "ragmesh-common.serviceAccount" -}}
{{- $values := .workload.values -}}
{{- if $values.serviceAccount.create -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  {{- include "ragmesh-common.metadata" (dict "root" .root "component" .workload.component "name" .workload.serviceAccount "annotations" $values.serviceAccount.annotations) | nindent 2 }}
automountServiceAccountToken: false
{{- end -}}
{{- end -}}

{{/*
Headless, so that callers see every pod and balance by themselves. Pods are listed before they are
ready: whether one takes calls is asked of it by its callers (docs/explanation/health.md), and a
service whose pods all wait for the same server must still be there to say so.
*/}}
{{- define "ragmesh-common.headlessService" -}}
{{- $values := .workload.values -}}
apiVersion: v1
kind: Service
metadata:
  {{- include "ragmesh-common.metadata" (dict "root" .root "component" .workload.component "name" .workload.service "labels" $values.service.labels "annotations" $values.service.annotations) | nindent 2 }}
spec:
  type: ClusterIP
  clusterIP: None
  publishNotReadyAddresses: true
  selector:
    {{- include "ragmesh-common.selector" (dict "root" .root "component" .workload.component) | nindent 4 }}
  ports:
    {{- range $name, $port := .workload.ports }}
    - {name: {{ $name }}, port: {{ $port | int }}, targetPort: {{ $name }}, protocol: TCP}
    {{- end }}
{{- end -}}

{{- define "ragmesh-common.podDisruptionBudget" -}}
{{- $values := .workload.values -}}
{{- if $values.podDisruptionBudget.enabled -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  {{- include "ragmesh-common.metadata" (dict "root" .root "component" .workload.component "name" .workload.name) | nindent 2 }}
spec:
  maxUnavailable: {{ $values.podDisruptionBudget.maxUnavailable }}
  # A pod that is not ready serves nobody: it must not keep a node from being emptied.
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "ragmesh-common.selector" (dict "root" .root "component" .workload.component) | nindent 6 }}
{{- end -}}
{{- end -}}

{{- define "ragmesh-common.horizontalPodAutoscaler" -}}
{{- $scaling := .workload.values.autoscaling -}}
{{- if $scaling.enabled -}}
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  {{- include "ragmesh-common.metadata" (dict "root" .root "component" .workload.component "name" .workload.name) | nindent 2 }}
spec:
  scaleTargetRef:
    {{- include "ragmesh-common.reference" . | nindent 4 }}
  minReplicas: {{ $scaling.minReplicas | int }}
  maxReplicas: {{ $scaling.maxReplicas | int }}
  metrics:
    {{- range $resource, $percent := dict "cpu" $scaling.cpuPercent "memory" $scaling.memoryPercent }}
    {{- if $percent }}
    - type: Resource
      resource:
        name: {{ $resource }}
        target: {type: Utilization, averageUtilization: {{ $percent | int }}}
    {{- end }}
    {{- end }}
    {{- with $scaling.metrics }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with $scaling.behavior }}
  behavior:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}
{{- end -}}

{{/*
Who may reach the workload, and whom it may reach; nothing else passes. A list without a rule is left out: a cluster does not
keep it, and would take it for a change each time it is told again.
*/}}
{{- define "ragmesh-common.networkPolicy" -}}
{{- $workload := .workload -}}
{{- if and .root.Values.networkPolicy.enabled $workload.values.networkPolicy.enabled -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  {{- include "ragmesh-common.metadata" (dict "root" .root "component" $workload.component "name" $workload.name) | nindent 2 }}
spec:
  podSelector:
    matchLabels:
      {{- include "ragmesh-common.selector" (dict "root" .root "component" $workload.component) | nindent 6 }}
  policyTypes: [Ingress, Egress]
  {{- with concat ($workload.ingress | default list) ($workload.values.networkPolicy.extraIngress | default list) }}
  ingress:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with concat ($workload.egress | default list) ($workload.values.networkPolicy.extraEgress | default list) }}
  egress:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}
{{- end -}}

{{/* Whom pods may reach that nobody calls: a dictionary of root, component, name, egress, and maybe annotations. */}}
{{- define "ragmesh-common.egressPolicy" -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  {{- include "ragmesh-common.metadata" . | nindent 2 }}
spec:
  podSelector:
    matchLabels:
      {{- include "ragmesh-common.selector" . | nindent 6 }}
  policyTypes: [Ingress, Egress]
  egress:
    {{- .egress | nindent 4 }}
{{- end -}}

{{- define "ragmesh-common.serviceMonitor" -}}
{{- $monitor := .workload.values.serviceMonitor -}}
{{- if $monitor.enabled -}}
apiVersion: monitoring.coreos.com/v1
kind: ServiceMonitor
metadata:
  {{- include "ragmesh-common.metadata" (dict "root" .root "component" .workload.component "name" .workload.name "labels" $monitor.labels) | nindent 2 }}
spec:
  jobLabel: app.kubernetes.io/component
  namespaceSelector: {matchNames: [{{ .root.Release.Namespace }}]}
  selector:
    matchLabels:
      {{- include "ragmesh-common.selector" (dict "root" .root "component" .workload.component) | nindent 6 }}
  endpoints:
    - port: internal
      path: /metrics
      interval: {{ $monitor.interval }}
      scrapeTimeout: {{ $monitor.scrapeTimeout }}
      {{- with $monitor.relabelings }}
      relabelings:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $monitor.metricRelabelings }}
      metricRelabelings:
        {{- toYaml . | nindent 8 }}
      {{- end }}
{{- end -}}
{{- end -}}

{{/* A certificate of cert-manager: a dictionary of root, component, name, secret, and its dnsNames. */}}
{{- define "ragmesh-common.certificate" -}}
{{- $issuing := .root.Values.tls.certManager -}}
apiVersion: cert-manager.io/v1
kind: Certificate
metadata:
  {{- include "ragmesh-common.metadata" (dict "root" .root "component" .component "name" .name) | nindent 2 }}
spec:
  secretName: {{ .secret }}
  dnsNames:
    {{- toYaml .dnsNames | nindent 4 }}
  usages: [digital signature, server auth, client auth]
  duration: {{ $issuing.duration }}
  renewBefore: {{ $issuing.renewBefore }}
  privateKey: {algorithm: ECDSA, size: 256, rotationPolicy: Always}
  issuerRef:
    {{- toYaml .issuerRef | nindent 4 }}
{{- end -}}
