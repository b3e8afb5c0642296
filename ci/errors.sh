#!/usr/bin/env bash
# The programs in tests/errors must be refused, with the messages they are to be refused with.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo test --quiet --workspace --features cli --test errors
