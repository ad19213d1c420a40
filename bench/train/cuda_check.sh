#!/usr/bin/env bash
# Checks training on CUDA, on a machine that has a device:
#
#   ./run build                                   # once: the packages
#   bench/train/cuda_check.sh /path/to/libtorch   # the folder of an official archive for CUDA, or where its CMake files are
#
# The archive's CMake files want NVIDIA's compiler (Debian: nvidia-cuda-toolkit). Builds marrow-train-torch in build/cuda, in some
# minutes. Then compares steps, gradients and runs on the device with those on the processor, in float32, bfloat16 and float16,
# and resumed ones with uninterrupted ones. Prints a line for each check; the exit code is 0 when all passed.
set -euo pipefail
if (($# != 1)); then
  sed -n '2,/^set /{s/^# \{0,1\}//p}' "$0" >&2
  exit 2
fi
libtorch=$(realpath "$1")
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
build=$PWD/build/cuda
log=$build/check.log
mkdir -p "$build"
: >"$log"
failures=0

passed() { printf 'passed  %s\n' "$*"; }
failed() {
  printf 'FAILED  %s\n' "$*"
  failures=$((failures + 1))
}
stop() {
  tail -n 20 "$log" >&2
  printf 'cuda_check: %s; the whole log is in %s\n' "$*" "$log" >&2
  exit 1
}
logged() { "$@" >>"$log" 2>&1; }

echo "Building in build/cuda"
logged cmake --preset torch -B "$build" -DCMAKE_PREFIX_PATH="$libtorch" || stop "CMake does not take the LibTorch in $libtorch"
logged cmake --build "$build" --target marrow_cli marrow_train_torch_cli test_train_torch || stop "the build failed"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
logged "$build/bin/marrow" data synth "$work/data" --images 80 --classes disc,square --imgsz 160 --objects 4 ||
  stop "no images could be drawn"
# train NAME OPTION...: three epochs of YOLOv8n.
train() {
  logged "$build/bin/marrow" train yolov8n --data "$work/data/data.yaml" --imgsz 160 --epochs 3 --batch 8 --nbs 8 --optimizer SGD \
    --warmup-epochs 1 --save-period 1 --plots false --project "$work/runs" --name "$@"
}
train device --device cuda --no-amp ||
  stop "no training on CUDA. Where the log says 'no CUDA device is here', LibTorch is one without CUDA, or nvidia-smi sees no device"
passed "a device is here, and trains"

# The largest relative difference of two runs' losses, in thousandths; of the first epoch, or of all.
difference() { # RUN RUN EPOCHS
  paste -d, "$work/runs/$1/results.csv" "$work/runs/$2/results.csv" | awk -F, -v epochs="$3" '
    NR == 1 { half = NF / 2 }
    NR > 1 && NR <= epochs + 1 {
      for (i = 3; i <= 5; ++i) { d = ($i - $(half + i)) / $(half + i); if (d < 0) d = -d; if (d > most) most = d }
    }
    END { printf "%d", 1000 * most + 0.5 }'
}
# near WHAT RUN RUN EPOCHS LIMIT
near() {
  local found
  found=$(difference "$2" "$3" "$4")
  if ((found <= $5)); then passed "$1: losses differ by $found thousandths"; else failed "$1: losses differ by $found thousandths, not under $5"; fi
}

while read -r _ verdict name _; do
  case $verdict in
    OK) passed "$name" ;;
    FAILED) failed "$name" ;;
    SKIPPED) failed "$name, which found no device" ;;
  esac
done < <("$build/tests/test_train_torch" --gtest_filter='*OnCuda' 2>&1 | tee -a "$log" | sed -n 's/^\[ *\(OK\|FAILED\|SKIPPED\) *\] \(.*\) (.*/. \1 \2/p')

train processor || stop "no training on the processor"
near "float32 on CUDA beside the processor" device processor 3 20
for amp in bf16 fp16; do
  if train "$amp" --device cuda --amp "$amp"; then near "$amp on CUDA beside float32" "$amp" device 1 20; else failed "training in $amp"; fi
done
cp -r "$work/runs/device" "$work/runs/resumed"
if logged "$build/bin/marrow" train --resume "$work/runs/resumed/weights/epoch0.safetensors"; then
  near "a run on CUDA, resumed after its first epoch" resumed device 3 20
else
  failed "resuming on CUDA"
fi

((failures == 0)) || stop "$failures checks failed"
echo "All passed"
