#!/usr/bin/env bash
# Goodput of our TCP to and from the Linux kernel over bad paths, beside that of the kernel with
# itself over the same paths, as a table. Needs root for network namespaces, which end with it.
#
# usage: ci/matrix.sh [--quick] [--full] [--jobs N] [--repeat N] [--seconds S] [--only WORDS]
#                     [--cc cubic|reno|bbr] [--verbose]
#
# --quick    a dozen cells of about fifty
# --full     50 MB in every cell, whatever time that takes (hours at 30 % loss); otherwise each
#            cell gets what its path should carry in S seconds (8), at most 50 MB
# --jobs     cells of up to 100 Mbit/s at a time; faster ones go one by one, last
# --repeat   the median of so many runs
# --only     cells whose names contain one of the words, separated by commas
set -euo pipefail
cd "$(dirname "$0")/matrix"
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/../../target}/matrix
exec cargo run --quiet --release -- "$@"
