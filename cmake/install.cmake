# What `cmake --install` leaves: the programs, libmarrow, its headers, and a package that find_package(Marrow) finds.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/Marrow)
install(TARGETS marrow EXPORT MarrowTargets LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(TARGETS marrow_cli marrow_check_onnx RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
if(MARROW_TRAIN)
  install(TARGETS marrow_train_cli RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
install(
  DIRECTORY src/marrow/
  DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/marrow
  FILES_MATCHING
  PATTERN "*.h"
  PATTERN "kernels" EXCLUDE
  PATTERN "steps" EXCLUDE)
install(EXPORT MarrowTargets NAMESPACE Marrow:: DESTINATION ${package_dir})
file(WRITE ${PROJECT_BINARY_DIR}/MarrowConfig.cmake
     "include(CMakeFindDependencyMacro)\nfind_dependency(nlohmann_json)\ninclude(\"\${CMAKE_CURRENT_LIST_DIR}/MarrowTargets.cmake\")\n")
write_basic_package_version_file(${PROJECT_BINARY_DIR}/MarrowConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/MarrowConfig.cmake ${PROJECT_BINARY_DIR}/MarrowConfigVersion.cmake
        DESTINATION ${package_dir})
