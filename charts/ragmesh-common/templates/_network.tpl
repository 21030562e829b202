{{/* Ports in a URL, as JSON: a list of url, and the ports that it means when it names none. */}}
{{- define "ragmesh-common.portsOf" -}}
{{- $usual := index . 1 -}}
{{- $authority := regexReplaceAll "^[a-z0-9+]+://([^/?#]*@)?" (index . 0) "" | regexFind "^[^/?#]*" -}}
{{- $ports := list -}}
{{- range splitList "," $authority -}}
{{- $named := regexFind "(:[0-9]+)+$" . | splitList ":" | compact -}}
{{- range $place, $port := $usual -}}
{{- $ports = append $ports (ternary (index (concat $named $usual) $place | toString | int) ($port | int) (lt $place (len $named))) -}}
{{- end -}}
{{- end -}}
{{- $ports | uniq | toJson -}}
{{- end -}}

{{/* A rule that lets traffic to these ports pass; peers that are empty are everybody. */}}
{{- define "ragmesh-common.rule" -}}
- ports:
    {{- range .ports }}
    - {port: {{ . | int }}, protocol: TCP}
    {{- end }}
  {{- with .peers }}
  {{ $.side }}:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}
