# What makes mistakes harder to exploit, and builds in two folders equal: docs/reliability.md. Sanitizers take the place of the first.
if(NOT MARROW_SANITIZE)
  add_compile_options(-fstack-protector-strong -fstack-clash-protection)
  if(CMAKE_SYSTEM_PROCESSOR STREQUAL x86_64)
    add_compile_options(-fcf-protection)
  endif()
  # Needs an optimising compiler.
  add_compile_options($<$<CONFIG:Release>:-D_FORTIFY_SOURCE=3>)
  include(CheckPIESupported)
  check_pie_supported()
  add_link_options(-Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack)
endif()

# No file that is given away says where it was built; debuggers find sources by it. Of two that match the compiler takes the last.
add_compile_options($<$<CONFIG:Release>:-ffile-prefix-map=${PROJECT_SOURCE_DIR}=.>
                    $<$<CONFIG:Release>:-ffile-prefix-map=${PROJECT_BINARY_DIR}=build>)
