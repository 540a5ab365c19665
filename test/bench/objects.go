package main

// workload is one web server on each node and the namespaces of the benchmark.
const workload = `
apiVersion: v1
kind: Namespace
metadata: {name: bench}
---
apiVersion: v1
kind: Namespace
metadata: {name: bench-crowd}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: web, namespace: bench}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
        - name: web
          image: lab.local/web:1
          args: ["--listen=:80"]
          readinessProbe: {httpGet: {path: /healthz, port: 80}, periodSeconds: 1}
`

// objects are the pools, and the Service whose owner loses its power.
const objects = `
apiVersion: metallb.io/v1beta1
kind: IPAddressPool
metadata: {name: bench, namespace: metallb-system}
spec: {addresses: [192.168.1.200/32]}
---
apiVersion: metallb.io/v1beta1
kind: IPAddressPool
metadata: {name: bench-crowd, namespace: metallb-system}
spec: {addresses: [10.200.0.0/16], autoAssign: false}
---
apiVersion: metallb.io/v1beta1
kind: L2Advertisement
metadata: {name: bench, namespace: metallb-system}
spec: {ipAddressPools: [bench]}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: bench}
spec:
  type: LoadBalancer
  selector: {app: web}
  ports: [{port: 80, targetPort: 80}]
`
