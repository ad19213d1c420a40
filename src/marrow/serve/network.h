// A model that is served: what goes into it, what comes out, and how it is run.
//
// Everything but run() is constant after loading: any thread. run() is for one thread at a time.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "marrow/image/image.h"
#include "marrow/model/checkpoint.h"
#include "marrow/predict/compiled_network.h"
#include "marrow/predict/detector.h"

namespace marrow::serve {

struct NetworkOptions {
  std::vector<int> imgsz;  // of the input: one number, or height and width; empty: the model's own
  bool rect = true;        // pad pictures only to the next multiple of the stride
  int max_side = 1280;     // pixels of an input that a client may send; at least the input's own
  size_t max_batch = 8;    // pictures that run at once
  engine::EngineOptions engine;
};

// What a picture became on its way into the network.
struct Prepared {
  Size picture;                // pixels
  std::vector<Tile> tiles;     // one, of the whole picture, where it is not cut
  std::vector<Tensor> inputs;  // (1, C, H, W), of each tile
};

class Network {
 public:
  // Reads the file, compiles the network for its own input, alone and in batches, and runs it. Throws what
  // load_trained throws, and Error{kUnsupported} for tasks other than detection and classification.
  static std::shared_ptr<Network> load(const std::string& name, const std::string& file,
                                       const NetworkOptions& options);

  const std::string& name() const { return name_; }
  const std::string& file() const { return file_; }
  bool is_detector() const { return trained_.model.task == "detect"; }
  const model::Model& model() const { return trained_.model; }
  const std::vector<std::string>& class_names() const { return trained_.model.names; }
  const InputFormat& format() const { return format_; }
  const NetworkOptions& options() const { return options_; }
  const std::string& output_name() const { return output_; }
  ImageReading reading() const { return reading_; }
  int channels() const { return reading_.samples.channels; }
  // Input sides are multiples of it; of a classifier 1.
  int stride() const { return stride_; }
  Size size() const { return size_; }       // that pictures are fitted into
  bool is_fixed() const { return fixed_; }  // it takes no other
  int max_side() const { return std::max({options_.max_side, size_.width, size_.height}); }

  // Of one picture (without the batch): (C, H, W) gives the output's shape, (4 + classes, anchors) or
  // (classes).
  Shape output_shape(int64_t height, int64_t width) const;

  // Fitted into the network's whole input, (1, C, H, W), whatever the picture's shape. Throws as prepare()
  // does.
  Tensor fitted(const image::Image& image) const;
  // Fitted as `marrow predict` does it: cut into tiles, padded no further than needed. Throws Error{kUsage}
  // for an image not read as reading() says.
  Prepared prepare(const image::Image& image) const;
  // What was found; `outputs` of the tiles in turn.
  std::vector<detect::Detection> detections(const Prepared& prepared, const std::vector<Tensor>& outputs,
                                            detect::NmsOptions options) const;

  // How many inputs (1, C, H, W) may run at once: max_batch of the network's own size, fewer of larger ones,
  // so that no run takes more memory than these; a power of two.
  size_t most_at_once(const Shape& input) const;

  // Inputs (1, C, H, W) of one shape, at most most_at_once() of them. Fills outputs (1, ...), as many.
  void run(const std::vector<const Tensor*>& inputs, const std::vector<Tensor*>& outputs);

 private:
  Network(std::string name, std::string file, model::TrainedModel trained, const NetworkOptions& options);

  Letterbox fit(Size picture, bool rect) const;
  Tensor letterboxed(const image::Image& image, bool rect) const;

  std::string name_, file_;
  model::TrainedModel trained_;
  NetworkOptions options_;
  InputFormat format_;
  ImageReading reading_;
  predict::DetectionOutput decode_;  // of a detector
  std::string output_;
  int stride_ = 1;
  Size size_;
  bool fixed_ = false;
  std::unique_ptr<predict::CompiledNetwork> network_;
};

}  // namespace marrow::serve
