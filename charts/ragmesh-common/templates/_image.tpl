{{/* An image by its digest where there is one: a tag may be moved, a digest may not. */}}
{{- define "ragmesh-common.image" -}}
{{- $image := .image -}}
{{- with $image.registry }}{{ . }}/{{ end -}}
{{- $image.repository -}}
{{- if $image.digest -}}@{{ $image.digest }}{{- else -}}:{{ $image.tag | default .root.Chart.AppVersion }}{{- end -}}
{{- end -}}
