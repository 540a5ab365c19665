#!/bin/bash
# Runs every fuzz target of the module for the given time or number of inputs (default 50000x). New targets are found by their name.
set -euo pipefail
time=${1:-50000x}

grep -rE --include='*_test.go' -o '^func Fuzz[A-Za-z0-9_]+' . | sort | while IFS=: read -r file func; do
  target=${func#func }
  echo "fuzzing $target in $(dirname "$file") for $time"
  go test -run='^$' -fuzz="^${target}\$" -fuzztime="$time" "$(dirname "$file")" </dev/null
done
