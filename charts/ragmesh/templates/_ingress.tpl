{{/* An Ingress to one port of the doors: a dictionary of root, name, port, and its section of values. */}}
{{- define "ragmesh.ingress" -}}
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  {{- include "ragmesh-common.metadata" (dict "root" .root "component" "doors" "name" .name "annotations" .section.annotations) | nindent 2 }}
spec:
  {{- with .root.Values.ingress.className }}
  ingressClassName: {{ . }}
  {{- end }}
  {{- with .section.tlsSecret }}
  tls:
    - hosts: {{ toJson $.section.hosts }}
      secretName: {{ . }}
  {{- end }}
  rules:
    {{- range .section.hosts }}
    - host: {{ . | quote }}
      http:
        paths:
          - path: /
            pathType: Prefix
            backend:
              service:
                name: {{ include "ragmesh-common.fullname" $.root }}
                port: {name: {{ $.port }}}
    {{- end }}
{{- end -}}
