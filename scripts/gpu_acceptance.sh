#!/usr/bin/env bash
# Everything that a card has to show, within twelve minutes: the tests on it, compute-sanitizer, and the suites.
#
#   scripts/gpu_acceptance.sh [--dry-run] [FOLDER]
#
# Run folders are left in FOLDER (runs/acceptance), to be published under results/<card>/. With --dry-run there need be
# no card: the kernels run through the tests' stand-in and its sanitizers, and the suites tell what they lack.
# Needs an environment with convbench[dev,cuda] (and [torch] for cuDNN) in .venv, or PYTHON.
set -euo pipefail
cd "$(dirname "$0")/.."

dry=""
if [ "${1:-}" = "--dry-run" ]; then
    dry=yes
    shift
fi
out="${1:-runs/acceptance}"
python="${PYTHON:-.venv/bin/python}"

step() { printf '\n== %s\n' "$*"; }

# A run in which nothing could be timed (5) is a failure on a card, and what is to be expected without one.
run() {
    local code=0
    "$python" -m convbench run "$@" --out "$out" || code=$?
    if [ "$code" -ne 0 ] && ! { [ -n "$dry" ] && [ "$code" -eq 5 ]; }; then
        echo "convbench run $* ended with code $code" >&2
        exit "$code"
    fi
}

step "the algorithms, and whether they run here"
"$python" -m convbench list | grep -E 'cuda|cudnn|cupyx'

if [ -n "$dry" ]; then
    step "tests through the stand-in (dry run: no card is asked)"
    "$python" -m pytest -q -n 2 tests/gpu
    step "suites, what of them runs here"
    for suite in gpu_filters gpu_gaussian gpu_layers gpu_half cpu_vs_gpu; do
        run "$suite" --quick --budget 15s
    done
else
    step "tests on the card"
    "$python" -m pytest -q -n 0 -m gpu tests/gpu
    step "compute-sanitizer"
    if command -v compute-sanitizer > /dev/null; then
        for tool in memcheck racecheck synccheck; do
            timeout 120 compute-sanitizer --tool "$tool" --error-exitcode 9 \
                "$python" -m pytest -q -n 0 -m gpu tests/gpu/test_card.py \
                -k "must_run and (direct or separable or implicit or winograd_f4 or overlap) and not host and not cupyx"
        done
    else
        echo "compute-sanitizer is not on the path: left out"
    fi
    step "suites"
    run gpu_filters --budget 120s
    run gpu_gaussian --budget 75s
    run gpu_layers --budget 135s
    run gpu_half --budget 75s
    run cpu_vs_gpu --budget 75s
fi

step "done"
ls -d "$out"/*/
echo "acceptance: ${dry:+dry run, nothing was measured on a card; }all steps ended well"
