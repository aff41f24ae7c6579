# shellcheck shell=bash
# Where tools/setup takes LibTorch, nvcc and a CMake new enough for it from. Each find_* prints a path and fetches what is not there.
# Uses say and fail of say.sh.
torch_version=2.11.0
cuda_cmake="cmake>=3.31,<4"

# Is $1 a folder with LibTorch 2.11?
is_torch() {
  local header=$1/include/torch/headeronly/version.h
  [[ -f $header && -e $1/lib/libtorch_cpu.so ]] &&
    grep -q 'define TORCH_VERSION_MAJOR 2$' "$header" && grep -q 'define TORCH_VERSION_MINOR 11$' "$header"
}

is_cuda_torch() { is_torch "$1" && [[ -e $1/lib/libtorch_cuda.so ]]; }

# The folder of the torch package of the Python found first, without importing it.
python_torch() {
  python3 -c 'import importlib.util as u; s = u.find_spec("torch"); print(s.submodule_search_locations[0] if s else "")' 2>/dev/null || true
}

# Unpacks from the wheels in $1 to $2 the headers and the libraries a CPU needs: 0.5 GB of 1.5.
unpack_wheels() {
  python3 - "$1" "$2" <<'PYTHON'
import pathlib, re, sys, zipfile

wheels, target = map(pathlib.Path, sys.argv[1:])
wanted = re.compile(r"torch/include/|torch/share/cmake/|torch/lib/[^/]*\.so[.0-9]*$|nvidia/.*/lib/[^/]*\.so[.0-9]*$|[^/]*\.dist-info/licenses/")
needless = re.compile(r"torch/lib/(libtorch_cuda|libc10_cuda|libtorch_python|libtorch_nvshmem|libshm)")
for wheel in sorted(wheels.glob("*.whl")):
    with zipfile.ZipFile(wheel) as archive:
        for entry in archive.infolist():
            if wanted.match(entry.filename) and not needless.match(entry.filename):
                archive.extract(entry, target)
PYTHON
}

fetch_cpu_torch() {
  local target=$1 work machine python=python3 platforms=() level
  machine=$(uname -m)
  for level in 2_28 2_27 2_25 2_24 2_17; do platforms+=(--platform "manylinux_${level}_$machine"); done
  platforms+=(--platform "manylinux2014_$machine")
  work=$(mktemp -d .deps/fetching-XXXXXX)
  # shellcheck disable=SC2064  # expanded now: `work` is local
  trap "rm -rf '$PWD/$work'" EXIT
  "$python" -m pip --version >/dev/null 2>&1 || python=/usr/bin/python3  # a Python of one's own may lack pip
  say "fetching LibTorch $torch_version from PyPI (0.5 GB)"
  # The C++ libraries in the wheel do not depend on Python's version, so any version's wheel will do.
  "$python" -m pip download --quiet --no-deps --dest "$work/wheels" --only-binary=:all: --implementation cp --python-version 3.11 --abi cp311 \
    "${platforms[@]}" "torch==$torch_version" "nvidia-cuda-runtime==13.0.*" "nvidia-cuda-cupti==13.0.*" >&2 ||
    fail "LibTorch could not be fetched; with a LibTorch 2.11 that is there already: LPNSR_TORCH=/path/to/torch tools/setup"
  say "unpacking"
  unpack_wheels "$work/wheels" "$work/unpacked"
  is_torch "$work/unpacked/torch" || fail "the wheels do not hold what was expected"
  rm -rf "$target"
  mv "$work/unpacked" "$target"
  rm -rf "$work"
}

find_cpu_torch() {
  if [[ ${LPNSR_TORCH-} ]]; then
    is_torch "$LPNSR_TORCH" || fail "LPNSR_TORCH=$LPNSR_TORCH is no LibTorch 2.11 (include/ and lib/ are expected there)"
    realpath "$LPNSR_TORCH"
    return
  fi
  local target=$PWD/.deps/torch-$torch_version
  is_torch "$target/torch" || fetch_cpu_torch "$target"
  echo "$target/torch"
}

# The wheels of torch with CUDA and CMake, in an environment of their own.
cuda_environment() {
  local environment=$PWD/.deps/venv-cuda
  if [[ ! -f $environment/.complete-$1 ]]; then
    say "fetching $1 into .deps/venv-cuda"
    [[ -x $environment/bin/python ]] || python3 -m venv "$environment" >&2
    "$environment/bin/python" -m pip install --quiet "${@:2}" >&2 || fail "$1 could not be fetched from PyPI"
    touch "$environment/.complete-$1"
  fi
  echo "$environment"
}

find_cuda_torch() {
  local candidate
  if [[ ${LPNSR_TORCH-} ]]; then
    is_cuda_torch "$LPNSR_TORCH" || fail "LPNSR_TORCH=$LPNSR_TORCH is no LibTorch 2.11 with CUDA (lib/libtorch_cuda.so is expected there)"
    realpath "$LPNSR_TORCH"
    return
  fi
  candidate=$(python_torch)
  if [[ -n $candidate ]] && is_cuda_torch "$candidate"; then
    realpath "$candidate"
    return
  fi
  candidate=$(cuda_environment torch "torch==$torch_version")
  candidate=$(echo "$candidate"/lib/python3*/site-packages/torch)
  is_cuda_torch "$candidate" || fail "the torch wheel in $candidate has no CUDA libraries"
  echo "$candidate"
}

find_nvcc() {
  local nvcc
  for nvcc in "${CUDACXX-}" "${CUDA_HOME:+$CUDA_HOME/bin/nvcc}" "$(command -v nvcc || true)" /usr/local/cuda/bin/nvcc; do
    [[ -n $nvcc && -x $nvcc ]] || continue
    "$nvcc" --version | grep -q 'release 13\.' || fail "$nvcc is not of the CUDA Toolkit 13, which LibTorch $torch_version was built with"
    realpath "$nvcc"
    return
  done
  fail "no nvcc: install the CUDA Toolkit 13 (developer.nvidia.com/cuda-downloads) or name it with CUDA_HOME=/path/to/cuda"
}

# Debian 12's CMake 3.25 knows no C++20 for nvcc 13.
find_new_cmake() {
  local version
  version=$(cmake --version | sed -n 's/^cmake version //p')
  if [[ $(printf '%s\n' 3.31 "$version" | sort -V | head -n 1) == 3.31 ]]; then
    command -v cmake
  else
    echo "$(cuda_environment cmake "$cuda_cmake")/bin/cmake"
  fi
}
