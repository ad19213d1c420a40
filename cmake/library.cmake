# libmarrow, for other people's programs: what include/marrow declares, and under it everything but training. The layers'
# objects are those of the programs; the linker hides what is in them.
add_library(marrow SHARED)
add_library(Marrow::marrow ALIAS marrow)
marrow_link(marrow api)
set(exported ${PROJECT_SOURCE_DIR}/src/marrow/api/exported.map)
target_link_options(marrow PRIVATE LINKER:--version-script=${exported} LINKER:--no-undefined LINKER:--gc-sections)
set_target_properties(
  marrow PROPERTIES VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR} LINK_DEPENDS ${exported})
target_include_directories(marrow INTERFACE $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
                                            $<BUILD_INTERFACE:${PROJECT_BINARY_DIR}/include>
                                            $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
