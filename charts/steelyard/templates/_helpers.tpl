{{- /* steelyard.fullname: the prefix of the names of all objects. */ -}}
{{- define "steelyard.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- /* steelyard.selector: the labels that select the pods of a component. Call with (list . "controller"). */ -}}
{{- define "steelyard.selector" -}}
{{- $root := first . -}}
app.kubernetes.io/name: steelyard
app.kubernetes.io/instance: {{ $root.Release.Name }}
{{- with index . 1 }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end -}}

{{- /* steelyard.labels: the labels of every object; the component is "" for what belongs to both. Call with (list . "controller"). */ -}}
{{- define "steelyard.labels" -}}
{{- $root := first . -}}
{{ include "steelyard.selector" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
{{- end -}}

{{- /* steelyard.image: repository and tag of a component's image. Call with (list . .Values.controller.image). */ -}}
{{- define "steelyard.image" -}}
{{- $root := first . -}}
{{- $image := index . 1 -}}
{{ $image.repository }}:{{ default $root.Chart.AppVersion $image.tag }}
{{- end -}}

{{- /* steelyard.gossipSecret: the name of the Secret that holds the key of the gossip. */ -}}
{{- define "steelyard.gossipSecret" -}}
{{- default (printf "%s-gossip" (include "steelyard.fullname" .)) .Values.gossip.existingSecret -}}
{{- end -}}

{{- /* steelyard.commonArgs: the flags that both binaries have. Call with (list . .Values.controller "" ), the last being the
address that the probes are bound to. */ -}}
{{- define "steelyard.commonArgs" -}}
{{- $root := first . -}}
{{- $component := index . 1 -}}
- --log-level={{ $root.Values.logLevel }}
- --log-format={{ $root.Values.logFormat }}
- --metrics-bind-address=:{{ $component.metricsPort }}
- --metrics-secure={{ $root.Values.metrics.secure }}
{{- if and $root.Values.metrics.secure $root.Values.metrics.certSecret }}
- --metrics-cert-dir=/etc/steelyard/metrics
{{- end }}
- --health-probe-bind-address={{ index . 2 }}:{{ $component.probePort }}
{{- with $root.Values.loadBalancerClass }}
- --lb-class={{ . }}
{{- end }}
{{- end -}}

{{- /* steelyard.metricsCert: the Secret of the metrics' certificate, as its name in a pod; "" without one. */ -}}
{{- define "steelyard.metricsCert" -}}
{{- if .Values.metrics.secure }}{{ .Values.metrics.certSecret }}{{ end -}}
{{- end -}}

{{- /* steelyard.fieldEnv: environment variables from the pod's own fields. */ -}}
{{- define "steelyard.fieldEnv" -}}
- name: POD_NAMESPACE
  valueFrom: {fieldRef: {fieldPath: metadata.namespace}}
- name: NODE_NAME
  valueFrom: {fieldRef: {fieldPath: spec.nodeName}}
{{- end -}}
