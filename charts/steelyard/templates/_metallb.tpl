{{- /* Values of MetalLB's chart that are read otherwise here. docs/chart-values.md lists all of them. */ -}}

{{- /* steelyard.excludeInterfaces: the flag for interfaces that are never used; "" for the built-in list. MetalLB's chart has an
object with "enabled" here, and without it, no interface is left out. */ -}}
{{- define "steelyard.excludeInterfaces" -}}
{{- $exclude := .Values.speaker.excludeInterfaces -}}
{{- if kindIs "map" $exclude -}}
{{- if not $exclude.enabled }}--exclude-interfaces={{ end -}}
{{- else if $exclude -}}
--exclude-interfaces={{ join "," $exclude }}
{{- end -}}
{{- end -}}

{{- /* steelyard.toleratesAll: "true" if the speaker's tolerations cover every taint. */ -}}
{{- define "steelyard.toleratesAll" -}}
{{- range .Values.speaker.tolerations -}}
{{- if and (eq (default "Equal" .operator) "Exists") (not .key) (not .effect) }}true{{ end -}}
{{- end -}}
{{- end -}}

{{- /* steelyard.speakerTolerations: the speaker's tolerations, as YAML. */ -}}
{{- define "steelyard.speakerTolerations" -}}
{{- $all := default list .Values.speaker.tolerations -}}
{{- if and .Values.speaker.tolerateMaster (not (include "steelyard.toleratesAll" .)) -}}
{{- range list "node-role.kubernetes.io/control-plane" "node-role.kubernetes.io/master" -}}
{{- $all = append $all (dict "key" . "operator" "Exists" "effect" "NoSchedule") -}}
{{- end -}}
{{- end -}}
{{- with $all }}{{ toYaml . }}{{ end -}}
{{- end -}}

{{- /* steelyard.refuse ends the rendering with all that is asked for and cannot be had, and what to write instead. Every problem
is a line, so that one attempt shows them all. */ -}}
{{- define "steelyard.refuse" -}}
{{- include "steelyard.complete" . }}
{{- with include "steelyard.problems" . | trim }}
{{- fail (printf "\nThese values ask for what Steelyard does not have, or contradict each other:\n%s" (regexReplaceAll "(?m)^" . "- ")) }}
{{- end }}
{{- end -}}

{{- define "steelyard.problems" -}}
{{- include "steelyard.problemsOfBGP" . }}
{{- include "steelyard.problemsOfComponents" . }}
{{- include "steelyard.problemsOfMetrics" . }}
{{- include "steelyard.problemsOfGossip" . }}
{{- end -}}

{{- define "steelyard.problemsOfBGP" -}}
{{- with .Values.frrk8s }}
{{- if or .enabled .external }}
frrk8s: addresses are announced by ARP and NDP only. Set frrk8s.enabled=false and frrk8s.external=false, or stay with MetalLB where BGP is needed.
{{- end }}
{{- end }}
{{- if dig "frr" "enabled" false .Values.speaker }}
speaker.frr.enabled: addresses are announced by ARP and NDP only. Set it to false, or stay with MetalLB where BGP is needed.
{{- end }}
{{- end -}}

{{- define "steelyard.problemsOfComponents" -}}
{{- range $component := list "controller" "speaker" }}
{{- with get $.Values $component }}
{{- if and (hasKey . "enabled") (not .enabled) }}
{{ $component }}.enabled=false: {{ ternary "set controller.replicas=0 to have no controller." "to run speakers on some nodes only, or on none, set speaker.nodeSelector." (eq $component "controller") }}
{{- end }}
{{- if .command }}
{{ $component }}.command: the images have one program each; leave it out.
{{- end }}
{{- if regexMatch "(^|/)metallb/(controller|speaker)$" .image.repository }}
{{ $component }}.image.repository={{ .image.repository }}: that is MetalLB's image. Leave it out, or name where you keep Steelyard's.
{{- end }}
{{- end }}
{{- end }}
{{- if eq (default "enabled" .Values.controller.webhookMode) "onlywebhook" }}
controller.webhookMode=onlywebhook: there is no webhook, the CRDs themselves refuse what is wrong. Set controller.replicas=0 to have no controller.
{{- end }}
{{- if and .Values.networkpolicies.defaultDeny (not .Values.networkpolicies.enabled) }}
networkpolicies.defaultDeny: it would cut the controller off. Set networkpolicies.enabled=true too.
{{- end }}
{{- if .Values.speaker.securityContext.runAsNonRoot }}
speaker.securityContext.runAsNonRoot: packet sockets need NET_RAW, which reaches root only. Leave it out.
{{- end }}
{{- if and (not .Values.speaker.tolerateMaster) (include "steelyard.toleratesAll" .) }}
speaker.tolerateMaster=false: speaker.tolerations tolerates every taint. Set it to those that shall be tolerated, or to [].
{{- end }}
{{- end -}}

{{- define "steelyard.problemsOfMetrics" -}}
{{- with .Values.tls }}
{{- range $key, $same := dict "cipherSuites" "" "curvePreferences" "" "minVersion" "VersionTLS12" }}
{{- if not (has (get $.Values.tls $key | default "") (list "" $same)) }}
tls.{{ $key }}: metrics are served with TLS 1.2 or 1.3 and Go's choice of ciphers and curves. Leave it out.
{{- end }}
{{- end }}
{{- end }}
{{- with .Values.prometheus }}
{{- if and .metricsPort (ne (int .metricsPort) 9120) }}
prometheus.metricsPort={{ .metricsPort }}: MetalLB's speakers have it until they are gone. Leave it out, or set controller.metricsPort and speaker.metricsPort to others.
{{- end }}
{{- if and .podMonitor.enabled $.Values.metrics.secure (not .podMonitor.authorization) }}
prometheus.podMonitor.enabled: who scrapes must say who it is (metrics.secure), and a PodMonitor cannot use the token of Prometheus itself. Set prometheus.serviceMonitor.enabled instead, or prometheus.podMonitor.authorization, or metrics.secure=false.
{{- end }}
{{- if and (or .podMonitor.enabled .serviceMonitor.enabled) .rbacPrometheus (not (and .serviceAccount .namespace)) }}
prometheus.rbacPrometheus: name Prometheus's service account in prometheus.serviceAccount and its namespace in prometheus.namespace, or set prometheus.rbacPrometheus=false if it may read the metrics already.
{{- end }}
{{- if .prometheusRule.enabled }}
{{- range $key := list "staleConfig" "configNotLoaded" "addressPoolExhausted" "addressPoolUsage" "bgpSessionDown" }}
{{- if hasKey $.Values.prometheus.prometheusRule $key }}
prometheus.prometheusRule.{{ $key }}: the alerts are others than MetalLB's. Name those to leave out in prometheus.prometheusRule.disabledAlerts, and add your own in prometheus.prometheusRule.extraAlerts.
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "steelyard.problemsOfGossip" -}}
{{- $secret := .Values.speaker.secretName }}
{{- if and $secret .Values.gossip.existingSecret (ne $secret .Values.gossip.existingSecret) }}
speaker.secretName={{ $secret }}: gossip.existingSecret={{ .Values.gossip.existingSecret }} names another Secret. Leave one of them out.
{{- end }}
{{- with .Values.speaker.memberlist }}
{{- if and (hasKey . "enabled") (not .enabled) }}
speaker.memberlist.enabled=false: speakers must hear of each other to know who answers. Leave it out; gossip.profile=wan costs least.
{{- end }}
{{- if .mlBindAddrOverride }}
speaker.memberlist.mlBindAddrOverride: each speaker gossips on its node's InternalIP. Leave it out.
{{- end }}
{{- if and .mlBindPort (ne (int .mlBindPort) 7946) }}
speaker.memberlist.mlBindPort={{ .mlBindPort }}: MetalLB's speakers have it until they are gone. Leave it out, or set gossip.port to another one.
{{- end }}
{{- end }}
{{- end -}}
