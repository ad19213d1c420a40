# LibTorch: Debian's libtorch-dev, or the official archive named by CMAKE_PREFIX_PATH.
find_package(Torch QUIET)
if(NOT Torch_FOUND)
  message(FATAL_ERROR "marrow-train-torch, which MARROW_TORCH asks for, needs LibTorch, which is not here. For CUDA name the folder "
                      "of an official archive with -DCMAKE_PREFIX_PATH=/path/to/libtorch; Debian's libtorch-dev knows the CPU "
                      "alone. -DMARROW_TORCH=OFF builds everything else: 'marrow train' on a CPU needs no LibTorch.")
endif()

# Its headers as system headers, so that their warnings are not ours.
add_library(marrow_torch INTERFACE)
target_include_directories(marrow_torch SYSTEM INTERFACE ${TORCH_INCLUDE_DIRS})
target_link_libraries(marrow_torch INTERFACE ${TORCH_LIBRARIES})
# Newer archives bring headers of another fmt, which come first here: then its code has to come from them too.
foreach(folder IN LISTS TORCH_INCLUDE_DIRS)
  if(EXISTS ${folder}/fmt/format.h AND NOT folder STREQUAL "/usr/include")
    target_compile_definitions(marrow_torch INTERFACE FMT_HEADER_ONLY)
  endif()
endforeach()
