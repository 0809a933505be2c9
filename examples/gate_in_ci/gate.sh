#!/bin/sh
# Usage: gate.sh BASE CANDIDATE
# Exit status 0: the candidate may be released. 1: it is worse than the base allows, or could not be measured.
set -eu
base=${1:-tinysec}
candidate=${2:-tinysec-gptq4}

# The base is measured once. CI keeps the file in its cache.
test -f baseline.json || pytest -q --model="$base" --benchmark-json=baseline.json

pytest -q --model="$candidate" --slmsec-baseline=baseline.json --slmsec-flips=flips.jsonl --slmsec-json=gate.json
