#!/bin/bash
# Runs every generator and fails when a generated file changed, or when go.mod or go.sum is not tidy. A file that is new, or
# changed but not committed, is stale only if the generators write something else.
set -euo pipefail

generated=(api/v1beta1/zz_generated.deepcopy.go config/crd/bases config/rbac config/manifests charts/steelyard/files
  charts/steelyard/values.schema.json docs/chart-values.md docs/reference.md)

before=$(mktemp -d)
trap 'rm -rf "$before"' EXIT
cp -r --parents "${generated[@]}" "$before"

make generate

stale=0
for g in "${generated[@]}"; do
  diff -ruN "$before/$g" "$g" || stale=1
done
if ((stale)); then
  echo "error: generated files were stale (see above). \`make generate\` has written them anew: commit them." >&2
  exit 1
fi
if ! go mod tidy -diff; then
  echo "error: go.mod or go.sum is not tidy (see above). Run \`go mod tidy\` and commit both." >&2
  exit 1
fi
# In CI the clone is clean, so nothing may differ from the commit.
if [[ ${CI:-} == true ]] && ! git -c safe.directory="$PWD" diff --exit-code -- "${generated[@]}" go.mod go.sum; then
  echo "error: generated files differ from the commit (see above). Run \`make generate\` and commit them." >&2
  exit 1
fi
echo "generated files and go.mod are up to date"
