# The layers of the library, as the build sees them. A layer is a folder of src/marrow; it may use the layers it names
# and nothing else, and a test links only the closure of its own layer, so an upward dependency does not link.

# marrow_layer(NAME [USES layer...] [LINKS target...])
# Compiles every source of the folder as an object library, so that self-registering objects are never dropped.
function(marrow_layer name)
  cmake_parse_arguments(ARG "" "" "USES;LINKS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${name}/*.cpp)
  set(target marrow_${name})
  add_library(${target} OBJECT ${sources})
  target_include_directories(${target} PUBLIC ${CMAKE_CURRENT_SOURCE_DIR})
  target_link_libraries(${target} PUBLIC ${ARG_LINKS})
  set(closure ${name})
  foreach(layer IN LISTS ARG_USES)
    get_property(below GLOBAL PROPERTY marrow_closure_${layer})
    list(APPEND closure ${below})
    target_link_libraries(${target} PUBLIC $<TARGET_PROPERTY:marrow_${layer},INTERFACE_LINK_LIBRARIES>)
  endforeach()
  list(REMOVE_DUPLICATES closure)
  set_property(GLOBAL PROPERTY marrow_closure_${name} ${closure})
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
    target_link_libraries(${target} PUBLIC marrow_${layer})
  endforeach()
endfunction()
