// A model that is served: what goes into it, what comes out, and how it is run.
//
// Everything but run() is constant after loading: any thread. run() is for one thread at a time.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "marrow/cpu/side_by_side.h"
#include "marrow/image/image.h"
#include "marrow/model/checkpoint.h"
#include "marrow/predict/compiled_network.h"
#include "marrow/predict/detector.h"
#include "marrow/predict/read_prediction.h"
#include "marrow/serve/batch_sizes.h"
#include "marrow/serve/options.h"
#include "marrow/serve/tensor_pool.h"

namespace marrow::serve {

// What a picture became on its way into the network.
struct Prepared {
  Size picture;                // pixels
  std::vector<Tile> tiles;     // one, of the whole picture, where it is not cut
  std::vector<Tensor> inputs;  // (1, C, H, W), of each tile
};

// What a network says of one input, (1, ...) each: in the order of Network::output_names().
using Outputs = std::vector<Tensor>;

class Network {
 public:
  // Reads the file, compiles the network for its own input, alone and in batches, and runs it. Throws what
  // load_trained throws, and Error{kUnsupported} for tasks other than detection and classification.
  static std::shared_ptr<Network> load(const std::string& name, const std::string& file,
                                       const NetworkOptions& options);

  const std::string& name() const { return name_; }
  const std::string& file() const { return file_; }
  // Whether it finds objects, as boxes or with masks, keypoints or turned boxes; otherwise it classifies.
  bool is_detector() const { return trained_.model.task != "classify"; }
  const model::Model& model() const { return trained_.model; }
  const std::vector<std::string>& class_names() const { return trained_.model.names; }
  const InputFormat& format() const { return format_; }
  const NetworkOptions& options() const { return options_; }
  // As clients know them: output0, and output1 of a network with masks; probabilities of a classifier.
  const std::vector<std::string>& output_names() const { return output_names_; }
  const DetectDecode& decode() const { return *decode_.decode; }  // of a detector
  bool has_masks() const { return prototype_stride_ > 0; }
  ImageReading reading() const { return reading_; }
  int channels() const { return reading_.samples.channels; }
  // Input sides are multiples of it; of a classifier 1.
  int stride() const { return stride_; }
  Size size() const { return size_; }       // that pictures are fitted into
  bool is_fixed() const { return fixed_; }  // it takes no other
  int max_side() const { return std::max({options_.max_side, size_.width, size_.height}); }

  // Of one picture, without the batch, in the order of output_names(): (4 + classes + more, anchors) and
  // (prototypes, rows, columns), or (classes).
  std::vector<Shape> output_shapes(int64_t height, int64_t width) const;

  // Fitted into the network's whole input, (1, C, H, W), whatever the picture's shape. Throws as prepare()
  // does.
  Tensor fitted(const image::Image& image) const;
  // Fitted as `marrow predict` does it: cut into tiles, padded no further than needed. Throws Error{kUsage}
  // for an image not read as reading() says.
  Prepared prepare(const image::Image& image) const;
  // What was found; `outputs` of the tiles in turn.
  predict::ImageFindings findings(const Prepared& prepared, std::span<const Outputs> outputs,
                                  predict::ReadOptions options) const;

  // Of inputs or outputs that are not needed any more, and that nobody else has.
  void give_back(Tensor tensor) const { pool_->give_back(std::move(tensor)); }
  // A tensor (1, C, H, W) for an input, with whatever was in it.
  Tensor empty_input(int64_t height, int64_t width) const {
    return pool_->take({1, channels(), height, width});
  }

  // How many inputs (1, C, H, W) may run side by side, each on its part of the threads: max_batch of the
  // network's own size, fewer of larger ones, so that no run takes more memory than these; a power of two,
  // and no more than there are threads.
  size_t most_at_once(const Shape& input) const;

  // How many of those that wait should run at once: the number, at most most_at_once(), that was quickest so
  // far. By the thread that runs them.
  size_t best_at_once(const Shape& input, size_t waiting);

  // Fills the outputs of an input (1, C, H, W).
  using RunOne = std::function<void(const Tensor& input, Outputs& outputs)>;
  // Calls work(run_one) on so many threads at once, at most most_at_once(). What it gets is for inputs of
  // this shape, any number of them, on this part of the threads.
  void run(const Shape& input, size_t at_once, const std::function<void(const RunOne&)>& work);

 private:
  Network(std::string name, std::string file, model::TrainedModel trained, const NetworkOptions& options);

  void prepare_detector();
  void prepare_classifier();
  Letterbox fit(Size picture, bool rect) const;
  Tensor letterboxed(const image::Image& image, bool rect) const;
  void run_on(engine::Engine& engine, const Tensor& input, Outputs& outputs);

  std::string name_, file_;
  model::TrainedModel trained_;
  NetworkOptions options_;
  InputFormat format_;
  ImageReading reading_;
  predict::DetectionOutput decode_;  // of a detector
  std::vector<std::string> output_names_;
  int prototype_stride_ = 0;  // input pixels a cell of the prototypes; 0: there are none
  int stride_ = 1;
  Size size_;
  bool fixed_ = false;
  std::unique_ptr<predict::CompiledNetwork> network_;
  std::unique_ptr<TensorPool> pool_;
  size_t threads_;
  cpu::SideBySide side_by_side_;
  std::map<Shape, BatchSizes> batch_sizes_;  // by the shape of an input
};

}  // namespace marrow::serve
