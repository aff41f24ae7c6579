# LibTorch::LibTorch from the folder LPNSR_TORCH. The libraries are named here: TorchConfig.cmake would demand the whole CUDA toolkit even
# for the CPU alone, and would choose the GPU architectures itself.
if(NOT LPNSR_TORCH)
  set(LPNSR_TORCH "${CMAKE_SOURCE_DIR}/.deps/torch-2.11.0/torch")
endif()
if(NOT EXISTS "${LPNSR_TORCH}/include/torch/csrc/api/include/torch/torch.h")
  message(FATAL_ERROR "no LibTorch in '${LPNSR_TORCH}': run tools/setup, or name yours with -DLPNSR_TORCH=/path/to/torch")
endif()

add_library(lpnsr_libtorch INTERFACE)
add_library(LibTorch::LibTorch ALIAS lpnsr_libtorch)
target_compile_definitions(lpnsr_libtorch INTERFACE USE_C10D_GLOO)
target_include_directories(lpnsr_libtorch SYSTEM INTERFACE "${LPNSR_TORCH}/include" "${LPNSR_TORCH}/include/torch/csrc/api/include")
target_link_libraries(lpnsr_libtorch INTERFACE "${LPNSR_TORCH}/lib/libtorch_cpu.so" "${LPNSR_TORCH}/lib/libc10.so")
target_link_options(lpnsr_libtorch INTERFACE "LINKER:-rpath,${LPNSR_TORCH}/lib" "LINKER:--allow-shlib-undefined")

# at::parallel_for is a template that runs in one thread where OpenMP is off; its threads have to be LibTorch's own, so its runtime too.
target_compile_options(lpnsr_libtorch INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-fopenmp>)
file(GLOB lpnsr_gomp "${LPNSR_TORCH}/lib/libgomp*.so*" "${LPNSR_TORCH}/../torch.libs/libgomp*.so*")
if(lpnsr_gomp)
  list(GET lpnsr_gomp 0 lpnsr_gomp)
  target_link_libraries(lpnsr_libtorch INTERFACE "${lpnsr_gomp}")
else()
  target_link_options(lpnsr_libtorch INTERFACE -fopenmp)
endif()

if(LPNSR_CUDA)
  if(NOT EXISTS "${LPNSR_TORCH}/lib/libtorch_cuda.so")
    message(FATAL_ERROR "the LibTorch in '${LPNSR_TORCH}' has no CUDA libraries: run tools/setup --cuda")
  endif()
  if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
    set(CMAKE_CUDA_ARCHITECTURES 80-real 86-real 89-real 90)
  endif()
  enable_language(CUDA)
  set(CMAKE_CUDA_STANDARD 20)
  set(CMAKE_CUDA_STANDARD_REQUIRED ON)
  find_package(CUDAToolkit 13 REQUIRED)
  # The wheels put NCCL beside torch/; elsewhere it is a system package (libnccl-dev).
  find_path(LPNSR_NCCL_INCLUDE nccl.h HINTS "${LPNSR_TORCH}/../nvidia/nccl/include" REQUIRED)
  target_include_directories(lpnsr_libtorch SYSTEM INTERFACE "${LPNSR_NCCL_INCLUDE}")
  target_compile_definitions(lpnsr_libtorch INTERFACE LPNSR_CUDA USE_C10D_NCCL)
  # Nothing refers to libtorch_cuda by name: its kernels register themselves when it is loaded.
  target_link_options(lpnsr_libtorch INTERFACE "LINKER:--no-as-needed")
  target_link_libraries(lpnsr_libtorch INTERFACE "${LPNSR_TORCH}/lib/libtorch_cuda.so" "${LPNSR_TORCH}/lib/libc10_cuda.so"
    CUDA::cudart)
endif()
