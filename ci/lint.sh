#!/usr/bin/env bash
# Formatting, clippy, documentation and file length, each without a warning.
set -euo pipefail
cd "$(dirname "$0")/.."

for tool in fmt:rustfmt clippy:clippy; do
  cargo "${tool%%:*}" --version >/dev/null 2>&1 && continue
  echo "== installing ${tool##*:}"
  rustup component add "${tool##*:}" >/dev/null 2>&1 ||
    { echo "lint: the toolchain has no ${tool##*:}, and it cannot be added"; exit 1; }
done

cargo fmt --all --check
for crate in fuzz bench matrix micro; do
  cargo fmt --manifest-path "ci/$crate/Cargo.toml" --check
done
# Each set of features that changes what is compiled; `--all-targets` with all of them.
for features in "" alloc std xdp; do
  echo "== clippy, features: ${features:-none}"
  cargo clippy --quiet --workspace --no-default-features --features "$features" -- -D warnings
done
for features in "" alloc; do
  echo "== clippy, the library's own tests, features: ${features:-none}"
  cargo clippy --quiet --profile test --lib --no-default-features --features "$features" -- -D warnings
done
echo "== clippy, tests and examples"
cargo clippy --quiet --workspace --all-targets --features cli -- -D warnings
echo "== clippy, what measures"
for crate in bench matrix micro; do
  CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}/lint \
    cargo clippy --quiet --manifest-path "ci/$crate/Cargo.toml" --all-targets -- -D warnings
done
echo "== docs"
RUSTDOCFLAGS="-D warnings" cargo doc --quiet --workspace --no-deps

long=$(git ls-files -co --exclude-standard '*.rs' | while read -r f; do
  if [ -f "$f" ]; then n=$(wc -l <"$f"); [ "$n" -le 600 ] || echo "$n $f"; fi
done)
if [ -n "$long" ]; then
  printf 'over 600 lines, split by concern:\n%s\n' "$long"
  exit 1
fi
echo "lint: clean"
