{{- /* steelyard.complete ends the rendering when the values are those of an older chart and this one's defaults are missing. Every
template comes by here. */ -}}
{{- define "steelyard.complete" -}}
{{- range list "prometheus" "networkpolicies" "rbac" -}}
{{- if not (hasKey $.Values .) -}}
{{- fail (printf "There is no value %s, not even its default: `helm upgrade --reuse-values` does not take the defaults of a newer chart. Use --reset-then-reuse-values." .) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* steelyard.fullname: the prefix of the names of all objects. */ -}}
{{- define "steelyard.fullname" -}}
{{- include "steelyard.complete" . -}}
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

{{- /* steelyard.podLabels: the labels of a component's pods: its own may add to those that select, and not change them. Call with
(list . "controller"). */ -}}
{{- define "steelyard.podLabels" -}}
{{- $component := get (first .).Values (index . 1) -}}
{{- merge (include "steelyard.selector" . | fromYaml) (default dict $component.labels) | toYaml -}}
{{- end -}}

{{- /* steelyard.podAnnotations: the annotations of a component's pods; "" without any. Call with (list . "controller"). */ -}}
{{- define "steelyard.podAnnotations" -}}
{{- $root := first . -}}
{{- $component := get $root.Values (index . 1) -}}
{{- $scrape := dict -}}
{{- if $root.Values.prometheus.scrapeAnnotations -}}
{{- $scrape = dict "prometheus.io/scrape" "true" "prometheus.io/port" (toString $component.metricsPort) "prometheus.io/scheme" (include "steelyard.metricsScheme" $root) -}}
{{- end -}}
{{- with merge dict (default dict $component.podAnnotations) $scrape }}{{ toYaml . }}{{ end -}}
{{- end -}}

{{- /* steelyard.image: where a component's image is. Call with (list . "controller"). */ -}}
{{- define "steelyard.image" -}}
{{- $root := first . -}}
{{- $image := (get $root.Values (index . 1)).image -}}
{{- if $image.digest -}}
{{ $image.repository }}@{{ $image.digest }}
{{- else -}}
{{ $image.repository }}:{{ default $root.Chart.AppVersion $image.tag }}
{{- end -}}
{{- end -}}

{{- /* steelyard.serviceAccount: the name of a component's service account. Call with (list . "controller"). */ -}}
{{- define "steelyard.serviceAccount" -}}
{{- $account := (get (first .).Values (index . 1)).serviceAccount -}}
{{- if $account.create -}}
{{ default (printf "%s-%s" (include "steelyard.fullname" (first .)) (index . 1)) $account.name }}
{{- else -}}
{{ default "default" $account.name }}
{{- end -}}
{{- end -}}

{{- /* steelyard.logLevel: a component's log level. MetalLB's levels that we do not have become the next quieter or louder one. Call
with (list . "controller"). */ -}}
{{- define "steelyard.logLevel" -}}
{{- $level := default (first .).Values.logLevel (get (first .).Values (index . 1)).logLevel -}}
{{ get (dict "all" "debug" "warn" "error" "none" "error") $level | default $level }}
{{- end -}}

{{- /* steelyard.metricsScheme: how metrics are served. */ -}}
{{- define "steelyard.metricsScheme" -}}
{{ ternary "https" "http" .Values.metrics.secure }}
{{- end -}}

{{- /* steelyard.metricsCert: the Secret of a component's certificate for metrics; "" without one. Call with (list . "controller"). */ -}}
{{- define "steelyard.metricsCert" -}}
{{- $root := first . -}}
{{- if $root.Values.metrics.secure -}}
{{ dig (printf "%sMetricsTLSSecret" (index . 1)) "" (default dict $root.Values.tls) | default $root.Values.metrics.certSecret }}
{{- end -}}
{{- end -}}

{{- /* steelyard.gossipSecret: the name of the Secret that holds the key of the gossip. */ -}}
{{- define "steelyard.gossipSecret" -}}
{{ coalesce .Values.gossip.existingSecret .Values.speaker.secretName (printf "%s-gossip" (include "steelyard.fullname" .)) }}
{{- end -}}

{{- /* steelyard.commonArgs: the flags that both binaries have. Call with (list . "controller" "" ), the last being the address that
the probes are bound to. */ -}}
{{- define "steelyard.commonArgs" -}}
{{- $root := first . -}}
- --log-level={{ include "steelyard.logLevel" . }}
- --log-format={{ $root.Values.logFormat }}
- --metrics-bind-address=:{{ (get $root.Values (index . 1)).metricsPort }}
- --metrics-secure={{ $root.Values.metrics.secure }}
{{- if include "steelyard.metricsCert" . }}
- --metrics-cert-dir=/etc/steelyard/metrics
{{- end }}
- --health-probe-bind-address={{ index . 2 }}:{{ (get $root.Values (index . 1)).probePort }}
{{- with $root.Values.loadBalancerClass }}
- --lb-class={{ . }}
{{- end }}
{{- end -}}

{{- /* steelyard.probe: a probe of a container. Call with (list .Values.controller.livenessProbe "httpGet"), the last being the
request as a dict. */ -}}
{{- define "steelyard.probe" -}}
{{- merge (dict "httpGet" (index . 1)) (omit (first .) "enabled") | toYaml -}}
{{- end -}}

{{- /* steelyard.fieldEnv: environment variables from the pod's own fields. */ -}}
{{- define "steelyard.fieldEnv" -}}
- name: POD_NAMESPACE
  valueFrom: {fieldRef: {fieldPath: metadata.namespace}}
- name: NODE_NAME
  valueFrom: {fieldRef: {fieldPath: spec.nodeName}}
{{- end -}}
