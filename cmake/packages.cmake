# `cpack` makes Debian packages of the components of cmake/install.cmake; packaging/test_packages.sh tries them.
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_CONTACT "The Marrow developers <marrow@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "YOLOv8 object detection with a backbone you can swap")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(CPACK_DEBIAN_PACKAGE_SECTION science)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_COMPONENTS_ALL marrow serve check_onnx library dev python)
if(MARROW_TORCH)
  list(APPEND CPACK_COMPONENTS_ALL train_torch)
endif()
set(same_version "(= ${PROJECT_VERSION}-${CPACK_DEBIAN_PACKAGE_RELEASE})")
set(library_package libmarrow${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})

# marrow_package(COMPONENT NAME SUMMARY): a package whose dependencies beyond those of its programs are set below.
macro(marrow_package component name summary)
  string(TOUPPER ${component} upper)
  set(CPACK_DEBIAN_${upper}_PACKAGE_NAME ${name})
  set(CPACK_DEBIAN_${upper}_DESCRIPTION ${summary})
  install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/${name} RENAME copyright COMPONENT ${component} EXCLUDE_FROM_ALL)
endmacro()

marrow_package(marrow marrow "Object detection with YOLOv8 and other backbones: the program")
set(CPACK_DEBIAN_MARROW_PACKAGE_SHLIBDEPS ON)
# To draw names that are not ASCII, loaded when there are some, and the plots of a training.
set(CPACK_DEBIAN_MARROW_PACKAGE_RECOMMENDS "libfreetype6, fonts-dejavu-core, gnuplot-nox")
set(CPACK_DEBIAN_MARROW_PACKAGE_SUGGESTS "marrow-serve, marrow-check-onnx")

marrow_package(serve marrow-serve "Object detection with YOLOv8 and other backbones: the HTTP server")
set(CPACK_DEBIAN_SERVE_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_SERVE_PACKAGE_RECOMMENDS "libfreetype6, fonts-dejavu-core")

marrow_package(check_onnx marrow-check-onnx "Object detection with YOLOv8 and other backbones: ONNX files in other readers")
set(CPACK_DEBIAN_CHECK_ONNX_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_CHECK_ONNX_PACKAGE_DEPENDS "marrow ${same_version}")

if(MARROW_TORCH)
  marrow_package(train_torch marrow-train-torch "Object detection with YOLOv8 and other backbones: training by LibTorch")
  set(CPACK_DEBIAN_TRAIN_TORCH_PACKAGE_SHLIBDEPS ON)
  set(CPACK_DEBIAN_TRAIN_TORCH_PACKAGE_DEPENDS "marrow ${same_version}")
endif()

marrow_package(library ${library_package} "Object detection with YOLOv8 and other backbones: the library")
set(CPACK_DEBIAN_LIBRARY_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_LIBRARY_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_DEBIAN_LIBRARY_PACKAGE_SECTION libs)

marrow_package(dev libmarrow-dev "Object detection with YOLOv8 and other backbones: for programs in C and C++")
set(CPACK_DEBIAN_DEV_PACKAGE_DEPENDS "${library_package} ${same_version}")
set(CPACK_DEBIAN_DEV_PACKAGE_SECTION libdevel)

marrow_package(python python3-marrow "Object detection with YOLOv8 and other backbones: for programs in Python")
set(CPACK_DEBIAN_PYTHON_PACKAGE_DEPENDS "${library_package} ${same_version}, python3, python3-numpy")
set(CPACK_DEBIAN_PYTHON_PACKAGE_SUGGESTS python3-pil)
set(CPACK_DEBIAN_PYTHON_PACKAGE_ARCHITECTURE all)
set(CPACK_DEBIAN_PYTHON_PACKAGE_SECTION python)

include(CPack)
