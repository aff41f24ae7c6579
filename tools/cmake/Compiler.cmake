# Warnings, linker, ccache and sanitizers: what every target is built with.
add_library(lpnsr_options INTERFACE)
target_include_directories(lpnsr_options INTERFACE "${CMAKE_SOURCE_DIR}")
target_compile_options(lpnsr_options INTERFACE -Wall -Wextra -Wshadow -Wnon-virtual-dtor -Wno-deprecated-declarations)
# Nobody reads errno after a square root; without this a loop with one is not vectorised.
target_compile_options(lpnsr_options INTERFACE -fno-math-errno)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # False alarms of GCC 12 about the concatenation of std::string (GCC bug 105651).
  target_compile_options(lpnsr_options INTERFACE -Wno-stringop-overflow -Wno-array-bounds -Wno-restrict)
endif()

find_program(LPNSR_CCACHE ccache)
if(LPNSR_CCACHE)
  # GCC's precompiled headers need these two to be cached at all.
  set(CMAKE_CXX_COMPILER_LAUNCHER "${CMAKE_COMMAND}" -E env CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime ${LPNSR_CCACHE})
  target_compile_options(lpnsr_options INTERFACE -fpch-preprocess)
endif()

find_program(LPNSR_LLD ld.lld)
if(LPNSR_LLD)
  target_link_options(lpnsr_options INTERFACE -fuse-ld=lld)
endif()

if(LPNSR_SANITIZE)
  target_compile_options(lpnsr_options INTERFACE -fsanitize=address,undefined -fno-omit-frame-pointer)
  target_link_options(lpnsr_options INTERFACE -fsanitize=address,undefined)
endif()
