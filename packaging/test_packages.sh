#!/usr/bin/env bash
# Makes the Debian packages of a build and tries them in a clean Debian 12, which debootstrap unpacks below build/ from this
# machine's package source: predicting and training, the three examples against the installed library, and the check of exports.
# usage: test_packages.sh BUILD_FOLDER; as root, from anywhere
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
build=$(realpath "$1")
root=$PWD/build/packages-root
packages=$PWD/build/packages
largest_kb=15000 # of the program, installed

say() { printf '%s\n' "$*" >&2; }
fail() {
  say "test-packages: $*"
  exit 1
}
quietly() { # LOG COMMAND...
  local log=build/$1
  shift
  "$@" >"$log" 2>&1 </dev/null || {
    tail -n 30 "$log" >&2
    fail "'$*' failed; the whole log is in $log"
  }
}
inside() { chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 "$@"; }
install_inside() { quietly packages-install.log inside apt-get install -y -q --no-install-recommends "$@"; }
unmount() { mountpoint -q "$root/proc" && umount "$root/proc" || true; }

((EUID == 0)) || fail "a clean Debian is entered by chroot, which only root may do"

say "Making the packages"
rm -rf "$packages"
quietly packages.log cpack --config "$build/CPackConfig.cmake" -B "$packages"
rm -rf "$packages/_CPack_Packages"
packaging/sbom.py "$build" >"$packages/marrow.spdx.json"

trap unmount EXIT
unmount
rm -rf "$root"
source=$(apt-get indextargets --format '$(REPO_URI)' 'Codename: bookworm' 'Component: main' | head -n 1)
[[ -n $source ]] || fail "apt has no package source for Debian 12 (bookworm)"
say "Unpacking a clean Debian 12"
quietly packages-debootstrap.log debootstrap --variant=minbase bookworm "$root" "$source"
mount -t proc proc "$root/proc" # for the number of processors
# How this machine reaches its package source.
cp -a /etc/apt/apt.conf.d/. "$root/etc/apt/apt.conf.d/"
[[ -f /etc/apt/apt.conf ]] && cp /etc/apt/apt.conf "$root/etc/apt/"
cp -L /etc/resolv.conf /etc/hosts "$root/etc/"
mkdir -p "$root/root/test"
cp "$packages"/*.deb "$root/root/test/"
quietly packages-update.log inside apt-get update -q

installed_kb() { inside dpkg-query -W -f '${Installed-Size}' "$1"; }
# The package that a pattern names, as a path inside.
deb() {
  local found=("$root/root/test/"$1_*.deb)
  printf '%s' "${found[0]#"$root"}"
}

say "marrow: the program"
install_inside "$(deb marrow)"
say "With all that it needs: $(grep -o '^After this operation, .* used' build/packages-install.log)"
"$build/tests/make_api_files" "$root/root/test/files"
said=$(inside marrow predict --model /root/test/files/detector.safetensors --source /root/test/files/a.jpg --no-save)
[[ $said == *Speed:* ]] || fail "marrow predict does not work"
quietly packages-synth.log inside marrow data synth /root/test/data --images 20
quietly packages-train.log inside marrow train yolov8n --data /root/test/data/data.yaml --imgsz 64 --epochs 1 --project /root/test/runs
[[ -f $root/root/test/runs/train/weights/best.safetensors ]] || fail "marrow train leaves no model"
[[ $(installed_kb marrow) -lt $largest_kb ]] || fail "marrow takes $(installed_kb marrow) KB, not under $largest_kb"
inside dpkg-query -W -f 'marrow takes ${Installed-Size} KB and depends on ${Depends}\n' marrow >&2

say "The library: the three examples"
install_inside "$(deb "libmarrow[0-9]*")" "$(deb libmarrow-dev)" "$(deb python3-marrow)" gcc g++ cmake make
cp -r examples "$root/root/test/examples"
for language in c cpp; do
  folder=/root/test/examples/$language
  quietly packages-example.log inside cmake -S "$folder" -B "$folder/build"
  quietly packages-example.log inside cmake --build "$folder/build"
done
images=(/root/test/files/a.jpg /root/test/files/b.png)
model=/root/test/files/detector.safetensors
inside /root/test/examples/cpp/build/detect "$model" "${images[@]}" >build/packages-cpp.txt
inside /root/test/examples/c/build/detect "$model" "${images[@]}" >build/packages-c.txt
inside python3 /root/test/examples/python/detect.py "$model" "${images[@]}" >build/packages-python.txt
grep -q ' (.*) to (' build/packages-cpp.txt || fail "the C++ example finds nothing"
cmp build/packages-cpp.txt build/packages-c.txt || fail "C++ and C find different things"
cmp build/packages-cpp.txt build/packages-python.txt || fail "C++ and Python find different things"

say "marrow-serve: a picture over HTTP"
install_inside "$(deb marrow-serve)" curl
# Each program becomes the next, so that its number is the server's.
chroot "$root" /usr/bin/env -i PATH=/usr/bin marrow serve "$model" --port 18080 --no-access-log 2>build/packages-serve.log &
server=$!
for ((i = 0; i < 100; ++i)); do
  inside marrow-serve --health-check --port 18080 2>/dev/null && break
  sleep 0.1
done
said=$(inside curl -s --data-binary @/root/test/files/a.jpg http://127.0.0.1:18080/v1/detect)
kill "$server"
[[ $said == *'"detections":'* ]] || fail "marrow serve does not answer: $said"

say "marrow-check-onnx: an export, read by others"
install_inside "$(deb marrow-check-onnx)"
said=$(inside marrow export "$model" -o /root/test/files/detector.onnx 2>&1)
[[ $said == *"ONNX checker: accepts"* && $said != *"not run"* ]] || fail "marrow export does not ask other readers: $said"

video=$(deb marrow-video)
if [[ -f $root/$video ]]; then
  say "marrow-video: FFmpeg's libraries"
  install_inside "$video"
  cp "$root/root/test/files/a.jpg" "$root/root/test/files/a.mp4"
  said=$(inside marrow predict --model "$model" --source /root/test/files/a.mp4 --no-save 2>&1) && fail "a picture is no video"
  [[ $said == *"a.mp4: cannot be opened"* ]] || fail "marrow predict does not start marrow-video: $said"
fi

mpi=$(deb marrow-train-mpi)
if [[ -f $root/$mpi ]]; then
  say "marrow-train-mpi: MPI"
  install_inside "$mpi" openmpi-bin
  inside marrow train yolov8n --data /root/test/data/data.yaml --imgsz 64 --epochs 1 --nproc 2 --no-plots >"$root/root/test/mpi.log" 2>&1 ||
    fail "two processes do not train together: $(tail -n 5 "$root/root/test/mpi.log")"
fi

torch=$(deb marrow-train-torch)
if [[ -f $root/$torch ]]; then
  say "marrow-train-torch: LibTorch"
  install_inside "$torch"
  said=$(inside marrow train yolov8n --data /root/test/data/data.yaml --device cuda 2>&1) && fail "a CUDA device is inside"
  [[ $said == *"no CUDA device is here"* ]] || fail "marrow train does not start marrow-train-torch: $said"
fi
say "All packages work: $(cd "$packages" && echo *.deb)"
