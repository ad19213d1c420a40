# MPI's C interface, which only marrow-train-mpi links. Where there is none, that program is not built, and `marrow train --nproc`
# says which package has it.
set(MARROW_MPI OFF)
if(NOT CMAKE_CROSSCOMPILING)  # what would be found is this machine's
  find_package(MPI QUIET COMPONENTS CXX)
endif()
if(MPI_CXX_FOUND)
  set(MARROW_MPI ON)
  # Headers as those of a system, and without MPI's own C++ interface of old.
  add_library(marrow_mpi INTERFACE)
  target_include_directories(marrow_mpi SYSTEM INTERFACE ${MPI_CXX_INCLUDE_DIRS})
  target_compile_definitions(marrow_mpi INTERFACE OMPI_SKIP_MPICXX MPICH_SKIP_MPICXX)
  target_link_libraries(marrow_mpi INTERFACE ${MPI_CXX_LIBRARIES})
else()
  message(STATUS "marrow-train-mpi is not built: there is no MPI (Debian's package libopenmpi-dev)")
endif()
