#!/usr/bin/env bash
# Runs the two-stack model (tests/tcp_model.rs) on seeds that nobody has seen, on all processors,
# for a number of minutes. Progress and whatever fails go to standard error; a seed that failed is
# run again by `STRATA_SEED=... cargo test --test tcp_model replay -- --nocapture`.
#
# usage: ci/model.sh [MINUTES]         STRATA_THREADS=N for another number of threads,
#                                      STRATA_BEGIN=N to begin at a certain place
set -euo pipefail
cd "$(dirname "$0")/.."

# Optimised, with every check of a debug build still on.
export CARGO_PROFILE_TEST_OPT_LEVEL=1 CARGO_PROFILE_DEV_OPT_LEVEL=1
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-target}/model
export STRATA_MINUTES=${1:-10} STRATA_THREADS=${STRATA_THREADS:-$(nproc)}

exec cargo test --quiet --test tcp_model fresh_seeds -- --nocapture
