#include "support/export_check.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <system_error>

#include "marrow/base/error.h"
#include "marrow/base/files.h"
#include "marrow/base/text.h"
#include "marrow/engine/engine.h"
#include "marrow/image/convert.h"
#include "marrow/image/network_input.h"
#include "marrow/image/resize.h"
#include "marrow/image/scene.h"
#include "marrow/model/onnx_model.h"
#include "marrow/predict/output_difference.h"
#include "marrow/weights/safetensors.h"
#include "support/child.h"
#include "support/program_files.h"

namespace marrow::cli {
namespace {

namespace fs = std::filesystem;

// Of what the network is compared on: `contrast` is that of drawn images, where there are no others.
Tensor input_of(const Graph& graph, const std::vector<image::Image>& pictures, double contrast, int batch,
                int height, int width) {
  const SampleFormat samples = image_reading(graph).samples;
  Tensor input({batch, samples.channels, height, width});
  const auto plane = static_cast<size_t>(input.size()) / static_cast<size_t>(batch);
  for (int i = 0; i < batch; ++i) {
    const auto number = static_cast<size_t>(i);
    const image::Image picture =
        pictures.empty() ? image::stand_in(image::draw_scene(width, height, number + 1, contrast), samples)
                         : image::resize_linear(pictures[number % pictures.size()], width, height);
    image::fill_network_input(picture.pixels(), input_format(graph), input.values().data() + number * plane);
  }
  return input;
}

std::vector<Tensor> run(const passes::GraphWithWeights& network, const Tensor& input, int threads) {
  engine::Engine engine(network.graph, network.weights, input.shape(), {}, {.threads = threads});
  engine.run(input);
  std::vector<Tensor> outputs;
  for (size_t i = 0; i < network.graph.outputs.size(); ++i) outputs.push_back(engine.output(i).clone());
  return outputs;
}

// The largest of any output.
double difference(const std::vector<Tensor>& a, const std::vector<Tensor>& b) {
  if (a.size() != b.size()) return INFINITY;
  double largest = 0;
  for (size_t i = 0; i < a.size(); ++i) largest = std::max(largest, relative_difference(a[i], b[i]));
  return largest;
}

// The file as given to marrow-check-onnx, which answers in JSON. Another process, so that a reader that
// crashes ends itself alone.
nlohmann::json ask_checker(const fs::path& program, const std::vector<std::string>& arguments) {
  const fs::path answer = fs::temp_directory_path() / fmt::format("marrow_check_{}.json", ::getpid());
  int code = 0;
  {
    Child child(program, arguments, {answer, "/dev/null"});
    code = child.wait();
  }
  const std::string text = read_file(answer, 1 << 20);
  std::error_code ignored;
  fs::remove(answer, ignored);
  const nlohmann::json parsed = nlohmann::json::parse(text, nullptr, false);
  if (code != 0 || !parsed.is_object())
    throw Error(ErrorKind::kModel,
                fmt::format("{} ended with {} on the exported file", program.string(), code));
  return parsed;
}

void check_elsewhere(const fs::path& file, const passes::GraphWithWeights& network,
                     const onnx::ExportOptions& options, const Tensor& input, int threads,
                     ExportCheck& check) {
  const auto program = find_beside(kOnnxChecker);
  if (!program) {
    check.not_run.push_back(fmt::format(
        "the ONNX checker and OpenCV ({} is not built; it needs libonnx-dev and libopencv-dnn-dev)",
        kOnnxChecker));
    return;
  }
  std::string reason(opencv_obstacle(network.graph, options.batch));
  if (options.half) reason = "it has no float16";
  if (options.int8) reason = "it computes int8 layers in another way";
  if (options.nms) reason = "it cannot read files that suppress";
  if (network.graph.outputs.front().name == kOneToOneOutput) reason = "it has no TopK";
  if (options.dynamic) reason = "it reads fixed sizes only";
  std::vector<std::string> arguments = {file.string()};
  const fs::path io = file.string() + ".io";
  if (reason.empty()) {
    weights::write_safetensors(io, {{"input", input}, {"output", run(network, input, threads).front()}}, {});
    arguments.push_back(io.string());
  } else {
    check.not_run.emplace_back("OpenCV: " + reason);
  }
  nlohmann::json answer;
  try {
    answer = ask_checker(*program, arguments);
  } catch (...) {
    std::error_code ignored;
    fs::remove(io, ignored);
    throw;
  }
  std::error_code ignored;
  fs::remove(io, ignored);
  for (const auto& [reader, result] : answer.items()) {
    const std::string error = result.value("error", "");
    if (!error.empty())
      throw Error(ErrorKind::kModel,
                  fmt::format("{} refuses the exported file: {}", reader, printable(error, 500)));
    if (result.contains("missing"))
      check.not_run.push_back(fmt::format("{}: {}", reader, result.value("missing", "")));
    else if (result.contains("difference"))
      check.runs.push_back(
          {reader, result["difference"].is_number() ? result["difference"].get<double>() : INFINITY});
    else
      check.passed.push_back(reader);
  }
}

}  // namespace

std::string_view opencv_obstacle(const Graph& graph, int batch) {
  const auto* decode = std::get_if<DetectDecode>(&graph.node(graph.outputs.front().value).operation);
  if (graph.outputs.size() > 1) return "it gives the last of several outputs";
  if (decode != nullptr && numbers_of_point(decode->extra) > 1)
    return "it does not spread the places of cells over keypoints";
  return decode != nullptr && batch > 1 ? "it does not spread a detector's anchors over a batch" : "";
}

ExportCheck check_export(const fs::path& file, const passes::GraphWithWeights& network,
                         const onnx::ExportOptions& options, const std::vector<image::Image>& pictures,
                         int threads) {
  ExportCheck check;
  const model::TrainedModel read = model::read_onnx_model(file);
  const passes::GraphWithWeights back{read.model.graph, read.weights};
  struct Form {
    int batch, height, width;
  };
  std::vector<Form> forms = {{options.batch, options.height, options.width}};
  if (options.dynamic) {
    const int stride = read.model.largest_stride;
    const int other_height = options.height + stride, other_width = options.width + 2 * stride;
    forms = {{1, options.height, options.width}, {1, other_height, other_width}};
    if (!options.nms) {
      forms.push_back({2, options.height, options.width});
      forms.push_back({2, other_height, other_width});
    }
  }
  const auto input_at = [&](double contrast) {
    return input_of(network.graph, pictures, contrast, 1, options.height, options.width);
  };
  if (pictures.empty()) check.contrast = predict::calm_contrast(network, input_at, threads);
  check.sensitivity = predict::rounding_sensitivity(network, input_at(check.contrast), threads);
  const auto input_of_form = [&](const Form& form) {
    return input_of(network.graph, pictures, check.contrast, form.batch, form.height, form.width);
  };
  for (const Form& form : forms) {
    const Tensor input = input_of_form(form);
    check.runs.push_back({fmt::format("Marrow, {} of {}x{}",
                                      form.batch == 1 ? "1 image" : fmt::format("{} images", form.batch),
                                      form.height, form.width),
                          difference(run(back, input, threads), run(network, input, threads))});
  }
  if (options.nms)
    check.not_run.emplace_back("the file's own suppression: Marrow's takes its place when it reads the file");
  if (options.half)
    check.not_run.emplace_back("float16 arithmetic: Marrow computes the file's weights in float32");
  check_elsewhere(file, network, options, input_of_form(forms.front()), threads, check);
  return check;
}

}  // namespace marrow::cli
