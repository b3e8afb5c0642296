#!/usr/bin/env bash
# Links examples/bare without std and without an allocator, looks for one in the result, and
# runs it.
set -euo pipefail
cd "$(dirname "$0")/.."

# Symbols of an allocator in a program: its own, or those it wants of the C library.
allocator() {
  nm "$1" | grep -E ' (__(rust|rg|rdl)_(alloc|realloc|dealloc)|malloc|calloc|realloc|posix_memalign|free)(@|$)'
}

# The search must be able to find one: in the smallest program with std.
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
echo 'fn main() { println!("{}", Box::new(std::env::args().count())); }' | rustc --edition 2024 -o "$tmp/std" -
allocator "$tmp/std" >/dev/null || { echo "bare: no allocator is found where there is one"; exit 1; }

cargo build --quiet --profile bare --no-default-features --example bare
bin=${CARGO_TARGET_DIR:-target}/bare/examples/bare
if found=$(allocator "$bin"); then
  printf 'bare: an allocator was linked:\n%s\n' "$found"
  exit 1
fi
timeout 20 "$bin" || { echo "bare: the program ended with $?"; exit 1; }
size "$bin"
echo "bare: no allocator"
