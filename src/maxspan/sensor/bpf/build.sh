#!/bin/sh
# Build sensor.bpf.o (or the file named as first argument) from the sources beside this script.
# The same clang gives the same bytes in any folder; sensor.bpf.o in the tree comes from the major version named below.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-$here/sensor.bpf.o}
case $out in /*) ;; *) out=$PWD/$out ;; esac
: "${CLANG:=clang}" "${STRIP:=llvm-strip}"
# Built with clang 14.
cd "$here"
"$CLANG" -target bpfel -mcpu=v3 -O2 -g -std=gnu11 -nostdinc -ffreestanding -fno-stack-protector -Wall -Wextra -Werror \
    -Wno-unused-function -Wno-gnu-variable-sized-type-not-at-end \
    "-ffile-prefix-map=$here=." -fdebug-compilation-dir=. -c sensor.bpf.c -o "$out"
# DWARF goes, BTF stays.
"$STRIP" -g "$out"
