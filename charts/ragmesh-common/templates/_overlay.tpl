{{/*
Lay the second dictionary over the first, which is changed: maps are joined, all else is replaced,
null leaves what is there. (mergeOverwrite cannot say false, 0 or "" over something.)
*/}}
{{- define "ragmesh-common.overlay" -}}
{{- $base := index . 0 -}}
{{- range $key, $value := index . 1 -}}
{{- $there := index $base $key -}}
{{- if and (kindIs "map" $value) (kindIs "map" $there) -}}
{{- include "ragmesh-common.overlay" (list $there $value) -}}
{{- else if not (kindIs "invalid" $value) -}}
{{- $_ := set $base $key $value -}}
{{- end -}}
{{- end -}}
{{- end -}}
