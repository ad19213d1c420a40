# OpenCV's core and imgproc, found by themselves: OpenCVConfig.cmake comes with Debian's libopencv-dev, which installs every
# other module and some two hundred packages that drawing a box does not need.
find_path(MARROW_OPENCV_INCLUDE opencv2/imgproc.hpp PATH_SUFFIXES opencv4 REQUIRED)
find_library(MARROW_OPENCV_CORE opencv_core REQUIRED)
find_library(MARROW_OPENCV_IMGPROC opencv_imgproc REQUIRED)

add_library(marrow_opencv INTERFACE)
target_include_directories(marrow_opencv SYSTEM INTERFACE ${MARROW_OPENCV_INCLUDE})
target_link_libraries(marrow_opencv INTERFACE ${MARROW_OPENCV_IMGPROC} ${MARROW_OPENCV_CORE})
