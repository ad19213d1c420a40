#include <exception>
#include <nlohmann/json.hpp>
#include <opencv2/dnn.hpp>

#include "check_onnx/readers.h"

namespace marrow::check {

nlohmann::json opencv_reader(const std::string& file, const Tensor& input, const Tensor& output) {
  try {
    cv::dnn::Net net = cv::dnn::readNetFromONNX(file);
    const std::vector<int> shape(input.shape().begin(), input.shape().end());
    net.setInput(cv::Mat(shape, CV_32F, const_cast<float*>(input.values().data())));
    const cv::Mat result = net.forward();
    Shape found;
    for (int axis = 0; axis < result.dims; ++axis) found.push_back(result.size[axis]);
    if (found != output.shape()) return {{"error", "its output is " + to_string(found)}};
    return {{"difference",
             relative_difference(Tensor::from(found, {result.ptr<float>(), result.total()}), output)}};
  } catch (const std::exception& error) {
    return {{"error", error.what()}};
  }
}

}  // namespace marrow::check
