#!/usr/bin/env bash
# Goodput of our TCP to and from the Linux kernel over bad paths, beside that of the kernel with
# itself over the same paths, as a table. Needs root for network namespaces, which end with it.
#
# usage: ci/matrix.sh [--quick] [--full [--budget S]] [--size OCTETS] [--jobs N] [--repeat N]
#                     [--seconds S] [--only WORDS] [--except WORDS] [--ways WORDS]
#                     [--cc cubic|reno|bbr] [--verbose] [--notes FOLDER [--slow S]]
#
# --quick    a dozen cells of about fifty
# --full     50 MB in every cell, whatever time that takes (hours at 30 % loss), or with --budget
#            at most what the kernel carries in about so many seconds; otherwise each cell gets
#            what its path should carry in S seconds (8), at most 50 MB
# --size     octets of each run instead
# --jobs     paths at a time, of those that carry little; faster ones count for more, and those
#            of more than 100 Mbit/s go alone
# --repeat   so many runs of each: octets by time of them all are shown
# --only     cells whose names contain one of the words, separated by commas
# --except   and those that do not contain one of these
# --ways     of linux,out,in those that are wanted, separated by commas
# --verbose  what the kernel and we counted in each run
# --notes    a file for each run, with a line for each segment at both ends of the path; of runs
#            longer than --slow seconds
set -euo pipefail
cd "$(dirname "$0")/matrix"
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/../../target}/matrix
exec cargo run --quiet --release -- "$@"
