{{- define "tidewaiter.labels" -}}
app.kubernetes.io/name: tidewaiter
{{- end }}
{{- define "tidewaiter.pods" -}}
app.kubernetes.io/name: tidewaiter
{{- end }}
