#!/bin/bash
# Installs the Debian packages that building and running the lab needs. Says nothing when all of them are there, so that neither
# root nor the network is needed then.
set -euo pipefail

# package: what it is for (test/lab/check.go tells the same to who runs the lab without make)
packages=(
  chromium        # the status page is tested in a browser
  curl            # a client of the end-to-end scenarios
  gcc             # runc is built with cgo
  iproute2        # ip makes the network
  iptables        # kube-proxy in iptables mode
  libc6-dev       # runc
  libseccomp-dev  # runc, for pods with a seccomp profile
  nftables        # kube-proxy in nftables mode
  pkg-config      # runc finds libseccomp by it
  util-linux      # nsenter enters a node
)

missing=()
for p in "${packages[@]}"; do
  status=$(dpkg-query --show --showformat='${db:Status-Status}' "$p" 2>/dev/null || true)
  [[ $status == installed ]] || missing+=("$p")
done
((${#missing[@]})) || exit 0

if ! command -v apt-get >/dev/null; then
  echo "error: this is no Debian machine; install what these packages hold: ${missing[*]}" >&2
  exit 1
fi
if ((EUID != 0)); then
  echo "error: packages are missing. Run as root: apt-get install ${missing[*]}" >&2
  exit 1
fi
echo "installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -qq -y --no-install-recommends "${missing[@]}" >/dev/null
