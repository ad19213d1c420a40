# Tests of libmarrow that are other programs: what it exports, and its use from Python, from C and from an installed package.
add_test(NAME api.ExportsOnlyThePublicApi COMMAND ${CMAKE_CURRENT_LIST_DIR}/exported_symbols.sh $<TARGET_FILE:marrow>
                                                  ${CMAKE_CURRENT_LIST_DIR}/exported_symbols.txt)

add_executable(make_api_files api/make_files/main.cpp api/made_files.cpp)
target_include_directories(make_api_files PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
marrow_link(make_api_files model detect graph/reference)
set(api_files ${CMAKE_CURRENT_BINARY_DIR}/api_files)
add_test(NAME api.MakeFiles COMMAND make_api_files ${api_files})
set_tests_properties(api.MakeFiles PROPERTIES FIXTURES_SETUP api_files)

set(MARROW_PYTHON /usr/bin/python3 CACHE FILEPATH "A Python with numpy, for tests of the Python module")
add_test(NAME api.Python COMMAND ${MARROW_PYTHON} -B -W error -m unittest discover -s ${CMAKE_CURRENT_LIST_DIR} -t ${CMAKE_CURRENT_LIST_DIR} -p "*_test.py")
set(python_paths PYTHONPATH=${PROJECT_SOURCE_DIR}/python MARROW_LIBRARY=$<TARGET_FILE:marrow> MARROW_PROGRAM=$<TARGET_FILE:marrow_cli>
                 MARROW_API_FILES=${api_files} MARROW_VERSION=${PROJECT_VERSION})
set_tests_properties(api.Python PROPERTIES FIXTURES_REQUIRED api_files ENVIRONMENT "${python_paths}")

add_test(NAME install.ExamplesBuildAgainstTheInstalledLibrary
         COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/install_test.sh ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR} ${api_files})
set_tests_properties(install.ExamplesBuildAgainstTheInstalledLibrary PROPERTIES FIXTURES_REQUIRED api_files)
