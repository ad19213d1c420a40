#include <chrono>
#include <exception>
#include <iostream>
#include <nlohmann/json.hpp>
#include <opencv2/dnn.hpp>

#include "check_onnx/readers.h"

namespace marrow::check {
namespace {

class OpenCvNetwork {
 public:
  // `input` must outlive it.
  OpenCvNetwork(const std::string& file, const Tensor& input) : net_(cv::dnn::readNetFromONNX(file)) {
    const std::vector<int> shape(input.shape().begin(), input.shape().end());
    input_ = cv::Mat(shape, CV_32F, const_cast<float*>(input.values().data()));
  }
  cv::Mat run() {
    net_.setInput(input_);
    return net_.forward();
  }

 private:
  cv::dnn::Net net_;
  cv::Mat input_;
};

nlohmann::json compared(const cv::Mat& result, const Tensor& output) {
  Shape found;
  for (int axis = 0; axis < result.dims; ++axis) found.push_back(result.size[axis]);
  if (found != output.shape()) return {{"error", "its output is " + to_string(found)}};
  return {{"difference",
           relative_difference(Tensor::from(found, {result.ptr<float>(), result.total()}), output)}};
}

}  // namespace

nlohmann::json opencv_reader(const std::string& file, const Tensor& input, const Tensor& output) {
  try {
    return compared(OpenCvNetwork(file, input).run(), output);
  } catch (const std::exception& error) {
    return {{"error", error.what()}};
  }
}

void opencv_turns(const std::string& file, const Tensor& input, const Tensor& output, int threads) {
  cv::setNumThreads(threads);
  try {
    OpenCvNetwork network(file, input);
    nlohmann::json answer = compared(network.run(), output);
    answer["name"] = std::string("OpenCV ") + CV_VERSION;
    std::cout << answer << std::endl;
    for (std::string line; std::getline(std::cin, line);) {
      const auto start = std::chrono::steady_clock::now();
      network.run();
      const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
      std::cout << took.count() << std::endl;
    }
  } catch (const std::exception& error) {
    std::cout << nlohmann::json{{"error", error.what()}}.dump(-1, ' ', false,
                                                              nlohmann::json::error_handler_t::replace)
              << std::endl;
  }
}

}  // namespace marrow::check
