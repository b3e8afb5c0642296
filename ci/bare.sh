#!/usr/bin/env bash
# Links examples/bare.rs without std and without an allocator, and looks for one in the result.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo build --quiet --profile bare --no-default-features --example bare
bin=${CARGO_TARGET_DIR:-target}/bare/examples/bare
found=$(nm "$bin" | grep -E ' [TtWw] .*(malloc|calloc|realloc|__rust_alloc|__rg_alloc|__rdl_alloc)' || true)
if [ -n "$found" ]; then
  printf 'bare: an allocator was linked:\n%s\n' "$found"
  exit 1
fi
"$bin" || { echo "bare: the program ended with $?"; exit 1; }
size "$bin"
echo "bare: no allocator"
