// Training a detector on a dataset of boxes.
#pragma once

#include "marrow/cpu/thread_pool.h"
#include "marrow/loader/detection_loader.h"
#include "marrow/train/loader_task.h"
#include "marrow/train/loss.h"

namespace marrow::train {

class DetectionTask : public LoaderTask<loader::DetectionLoader, loader::DetectionLoaderOptions> {
 public:
  // `graph` is the model's. Images come from `train` and `val`, of which the latter may have none.
  // `image_size` is a multiple of `stride`.
  DetectionTask(const TrainOptions& options, const Graph& graph, std::vector<std::string> names,
                int image_size, int stride, evaluate::OpenedSplit train, evaluate::OpenedSplit val);

  std::vector<std::string> loss_names() const override {
    return {"box_loss", "cls_loss", loss_.third_name()};
  }
  std::vector<std::string> result_columns() const override;
  void start(const Place& place) override;
  Step forward(TorchExecutor& model) override;
  std::string explain_non_finite(TorchExecutor& model) override;
  Validation validate(TorchExecutor& average, bool last, const std::function<bool()>& stop) override;
  void show_to(RunPlots& plots) override;

 private:
  loader::DetectionLoaderOptions loader_options(const Place& place) const override;
  std::vector<int64_t> objects_of_classes() const;

  int image_size_;
  int stride_;
  DetectionLoss loss_;
  std::vector<Value> maps_;
  Value output_;
  cpu::ThreadPool threads_;
  RunPlots* plots_ = nullptr;
  int64_t close_mosaic_epoch_ = -1;  // -1: none
  torch::Tensor images_;             // of the latest batch
  TrainingPlace place_;
};

// What the loss wants of a batch, on the CPU.
DetectionTargets targets_of(const loader::DetectionBatch& batch);

// multi_scale: the side, a multiple of `stride`, that a batch is resized to; `share` less or more than
// `image_size`.
int draw_image_size(int image_size, double share, int stride, uint64_t seed, int64_t epoch, int64_t batch);

// Samples (N, C, H, W) resized so that the longer side becomes `size`, each side a multiple of `stride`;
// bilinear. What comes out is ready for the network; a batch that has the size already stays as it is, in
// bytes.
torch::Tensor resize_batch(const torch::Tensor& images, const InputFormat& format, int size, int stride);

}  // namespace marrow::train
