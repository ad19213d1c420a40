# The layers of the library, as the build sees them. A layer is a folder of src/marrow; it may use the layers it names and
# those below them, and nothing else: a test program links only the closure of its own layer, so that an upward call does not
# link, and tests/house reads the includes.

# marrow_layer(NAME [FOLDERS subfolder...] [USES layer...] [LINKS target...] [PRECOMPILED header])
# Compiles every source of the folder and of the named subfolders as an object library, so that self-registering objects are
# never dropped. NAME is a path, "nn/blocks"; the target is marrow_nn_blocks. PRECOMPILED takes the place of
# the headers that all layers share.
function(marrow_layer name)
  cmake_parse_arguments(ARG "" "PRECOMPILED" "FOLDERS;USES;LINKS" ${ARGN})
  set(patterns ${CMAKE_CURRENT_SOURCE_DIR}/${name}/*.cpp)
  foreach(folder IN LISTS ARG_FOLDERS)
    list(APPEND patterns ${CMAKE_CURRENT_SOURCE_DIR}/${name}/${folder}/*.cpp)
  endforeach()
  file(GLOB sources CONFIGURE_DEPENDS ${patterns})
  # In a unity build, too, these are compiled alone: once for every processor level (cpu/dispatch.h).
  set(simd ${sources})
  list(FILTER simd INCLUDE REGEX _simd\\.cpp$)
  set_source_files_properties(${simd} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
  marrow_layer_target(target ${name})
  add_library(${target} OBJECT ${sources})
  target_include_directories(${target} PUBLIC ${PROJECT_SOURCE_DIR}/src)
  set(closure ${name})
  set(links ${ARG_LINKS})
  foreach(layer IN LISTS ARG_USES)
    get_property(below GLOBAL PROPERTY marrow_closure_${layer})
    get_property(links_below GLOBAL PROPERTY marrow_links_${layer})
    list(APPEND closure ${below})
    list(APPEND links ${links_below})
  endforeach()
  list(REMOVE_DUPLICATES closure)
  list(REMOVE_DUPLICATES links)
  target_link_libraries(${target} PUBLIC ${links})
  # What most sources include, parsed once for all layers: a third of the time that a build takes. It replaces no include:
  # -DCMAKE_DISABLE_PRECOMPILE_HEADERS=ON builds without it.
  if(ARG_PRECOMPILED)
    target_precompile_headers(${target} PRIVATE ${ARG_PRECOMPILED})
  elseif(name STREQUAL base)
    target_precompile_headers(
      ${target} PRIVATE <algorithm> <array> <cmath> <cstdint> <filesystem> <functional> <map> <memory> <optional> <span> <string>
                        <string_view> <utility> <vector> <fmt/format.h> <nlohmann/json.hpp>)
  else()
    target_precompile_headers(${target} REUSE_FROM marrow_base)
  endif()
  set_property(GLOBAL PROPERTY marrow_closure_${name} ${closure})
  string(REPLACE ";" " " words "${closure}")
  set_property(GLOBAL APPEND_STRING PROPERTY marrow_layers "${name} ${words}\n")
  set_property(GLOBAL PROPERTY marrow_links_${name} ${links})
endfunction()

# The target of a layer: marrow_nn_blocks of nn/blocks.
function(marrow_layer_target result name)
  string(REPLACE "/" "_" target marrow_${name})
  set(${result} ${target} PARENT_SCOPE)
endfunction()

# Links the object files of the layers and of all layers below them into TARGET.
function(marrow_link target)
  set(all)
  foreach(layer IN LISTS ARGN)
    get_property(closure GLOBAL PROPERTY marrow_closure_${layer})
    list(APPEND all ${closure})
  endforeach()
  list(REMOVE_DUPLICATES all)
  foreach(layer IN LISTS all)
    marrow_layer_target(layer_target ${layer})
    target_link_libraries(${target} PRIVATE ${layer_target})
  endforeach()
endfunction()

# Writes every layer and those it may include, a line each, for tests/house.
function(marrow_write_layers file)
  get_property(lines GLOBAL PROPERTY marrow_layers)
  file(WRITE ${file} "${lines}")
endfunction()
