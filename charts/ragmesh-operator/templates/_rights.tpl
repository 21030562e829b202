{{/*
What the operator calls at the API server, and nothing else; a test holds these rules against the
calls of the program (tests/charts/test_operator.py).
*/}}
{{- define "ragmesh-operator.resourceRules" -}}
- {apiGroups: [ragmesh.dev], resources: [ragcollections], verbs: [get, list, watch, patch]}
- {apiGroups: [ragmesh.dev], resources: [ragtenants], verbs: [get, list, watch]}
- {apiGroups: [ragmesh.dev], resources: [ragcollections/status, ragtenants/status], verbs: [patch]}
# Golden questions, which a resource names.
- {apiGroups: [""], resources: [configmaps], verbs: [get]}
- {apiGroups: [""], resources: [events], verbs: [create]}
{{- end -}}

{{/* On the indexers that may be scaled, by their name where there is one already. */}}
{{- define "ragmesh-operator.workerRules" -}}
{{- $parts := splitList "/" .Values.workers.workload -}}
{{- $group := ternary "argoproj.io" "apps" (eq (first $parts) "rollouts") -}}
- {apiGroups: [{{ $group }}], resources: [{{ first $parts }}/scale], resourceNames: [{{ last $parts }}], verbs: [get, patch]}
# Who else scales them.
- {apiGroups: [autoscaling], resources: [horizontalpodautoscalers], verbs: [list]}
- {apiGroups: [keda.sh], resources: [scaledobjects], verbs: [list, create]}
- {apiGroups: [keda.sh], resources: [scaledobjects], resourceNames: [{{ last $parts }}], verbs: [get, patch, delete]}
# What was put right of them is told beside them.
- {apiGroups: [""], resources: [events], verbs: [create]}
{{- end -}}

{{/* On its own Deployment, which is stopped before it is uninstalled. */}}
{{- define "ragmesh-operator.leavingRules" -}}
- {apiGroups: [apps], resources: [deployments/scale], resourceNames: [{{ include "ragmesh-common.fullname" . }}], verbs: [get, patch]}
{{- end -}}

{{/*
A role and its binding to the operator: a dictionary of root, name, rules, and the namespace, without
which both are of the cluster.
*/}}
{{- define "ragmesh-operator.role" -}}
{{- $metadata := include "ragmesh-common.metadata" (dict "root" .root "component" "operator" "name" .name) | fromYaml -}}
{{- if .namespace -}}
{{- $_ := set $metadata "namespace" .namespace -}}
{{- else -}}
{{- $_ := unset $metadata "namespace" -}}
{{- end -}}
{{- $kind := ternary "Role" "ClusterRole" (not (empty .namespace)) -}}
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ $kind }}
metadata:
  {{- toYaml $metadata | nindent 2 }}
rules:
  {{- .rules | nindent 2 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ $kind }}Binding
metadata:
  {{- toYaml $metadata | nindent 2 }}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: {{ $kind }}, name: {{ .name }}}
subjects:
  - {kind: ServiceAccount, name: {{ include "ragmesh-operator.serviceAccount" .root }}, namespace: {{ .root.Release.Namespace }}}
{{- end -}}
