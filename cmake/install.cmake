# What `cmake --install` leaves, by components, which are Debian packages too (cmake/packages.cmake):
#   marrow       the program
#   serve        what `marrow serve` starts
#   check_onnx   what the proof of `marrow export` starts: libonnx and OpenCV's dnn module
#   video        what `marrow predict` and `marrow track` start for videos: FFmpeg's libraries; only where it is built
#   train_mpi    what `marrow train --nproc` and mpirun start: MPI; only where it is built
#   train_torch  what `marrow train --device cuda` starts: LibTorch; only where it is built
#   library      libmarrow
#   dev          its headers, and what find_package(Marrow) finds
#   python       the Python module, only where it is asked for: others say `pip install ./python`
include(CMakePackageConfigHelpers)

install(TARGETS marrow_cli RUNTIME COMPONENT marrow)
install(TARGETS marrow_serve_cli RUNTIME COMPONENT serve)
install(TARGETS marrow_check_onnx RUNTIME COMPONENT check_onnx)
if(MARROW_VIDEO)
  install(TARGETS marrow_video_cli RUNTIME COMPONENT video)
endif()
if(MARROW_MPI)
  install(TARGETS marrow_train_mpi_cli RUNTIME COMPONENT train_mpi)
endif()
if(MARROW_TORCH)
  install(TARGETS marrow_train_torch_cli RUNTIME COMPONENT train_torch)
endif()

# Completions and pages that the program writes itself: generated(FOLDER FILE ARGUMENTS...) installs what
# `marrow ARGUMENTS...` prints; pages are written into a folder. A program for another machine cannot be asked.
function(marrow_generated destination file)
  string(JOIN " " arguments ${ARGN})
  install(
    CODE "
      set(file \"${PROJECT_BINARY_DIR}/generated/${file}\")
      file(MAKE_DIRECTORY \"${PROJECT_BINARY_DIR}/generated\")
      execute_process(COMMAND \"$<TARGET_FILE:marrow_cli>\" ${arguments} OUTPUT_FILE \"\${file}\" ERROR_QUIET RESULT_VARIABLE failed)
      if(failed)
        message(STATUS \"Not installed: ${file}, which 'marrow ${arguments}' did not write\")
      else()
        file(INSTALL DESTINATION \"\${CMAKE_INSTALL_PREFIX}/${destination}\" TYPE FILE FILES \"\${file}\")
      endif()"
    COMPONENT marrow)
endfunction()
if(NOT CMAKE_CROSSCOMPILING)
  marrow_generated(${CMAKE_INSTALL_DATADIR}/bash-completion/completions marrow completion bash)
  marrow_generated(${CMAKE_INSTALL_DATADIR}/zsh/vendor-completions _marrow completion zsh)
  install(
    CODE "
      set(pages \"${PROJECT_BINARY_DIR}/generated/man\")
      file(REMOVE_RECURSE \"\${pages}\")
      file(MAKE_DIRECTORY \"\${pages}\")
      execute_process(COMMAND \"$<TARGET_FILE:marrow_cli>\" man \"\${pages}\" OUTPUT_QUIET ERROR_QUIET)
      file(GLOB pages \"\${pages}/*.1\")
      if(pages)
        file(INSTALL DESTINATION \"\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_MANDIR}/man1\" TYPE FILE FILES \${pages})
      else()
        message(STATUS \"Not installed: manual pages, which 'marrow man' did not write\")
      endif()"
    COMPONENT marrow)
endif()

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/Marrow)
install(TARGETS marrow EXPORT MarrowTargets LIBRARY COMPONENT library NAMELINK_COMPONENT dev)
install(FILES include/marrow/marrow.h include/marrow/marrow.hpp ${PROJECT_BINARY_DIR}/include/marrow/version.h
        DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/marrow COMPONENT dev)
install(EXPORT MarrowTargets NAMESPACE Marrow:: DESTINATION ${package_dir} COMPONENT dev)
configure_package_config_file(cmake/MarrowConfig.cmake.in MarrowConfig.cmake INSTALL_DESTINATION ${package_dir}
                              NO_SET_AND_CHECK_MACRO NO_CHECK_REQUIRED_COMPONENTS_MACRO)
write_basic_package_version_file(MarrowConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/MarrowConfig.cmake ${PROJECT_BINARY_DIR}/MarrowConfigVersion.cmake
        DESTINATION ${package_dir} COMPONENT dev)

install(DIRECTORY python/marrow DESTINATION lib/python3/dist-packages COMPONENT python EXCLUDE_FROM_ALL
        FILES_MATCHING PATTERN "*.py" PATTERN "py.typed" PATTERN "__pycache__" EXCLUDE)

include(cmake/packages.cmake)
