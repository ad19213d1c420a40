// Training a detector on a dataset of boxes, masks, keypoints or turned boxes.
#pragma once

#include "marrow/cpu/thread_pool.h"
#include "marrow/loader/detection_loader.h"
#include "marrow/train/detector_kind.h"
#include "marrow/train/feature_loader.h"
#include "marrow/train/loader_task.h"

namespace marrow::train {

class DetectionTask : public LoaderTask<loader::DetectionLoader, loader::DetectionLoaderOptions> {
 public:
  // `kind` is of the model's graph, whose images have the `format`. They come from `train` and `val`, of
  // which the latter may have none. `image_size` is a multiple of `stride`. `communicator`: as LoaderTask has
  // it. With `features`, which are of the images of `train`, batches have those.
  DetectionTask(const TrainOptions& options, DetectorKind kind, const InputFormat& format,
                std::vector<std::string> names, int image_size, int stride, evaluate::OpenedSplit train,
                evaluate::OpenedSplit val, distributed::Communicator* communicator = nullptr,
                std::unique_ptr<FeatureLoader> features = nullptr);

  std::vector<std::string> loss_names() const override;
  std::vector<std::string> result_columns() const override;
  void start(const Place& place) override;
  Objective objective() const override;
  Batch next() override;
  Validation validate(TrainingExecutor& executor, bool last, const std::function<bool()>& stop) override;
  int64_t validation_bytes(TrainingExecutor& executor) const override {
    return bytes_of_validation(executor, {image_size_, image_size_}, kind_.outputs());
  }
  double waited_seconds() const override;
  void show_to(RunPlots& plots) override;

 private:
  loader::DetectionLoaderOptions loader_options(const Place& place) const override;
  TrainingBatch training_batch(const loader::DetectionBatch& batch, bool overlapping) const;
  std::vector<int64_t> objects_of_classes() const;
  Batch next_features();

  int image_size_;
  int stride_;
  DetectorKind kind_;
  InputFormat format_;
  cpu::ThreadPool threads_;
  std::unique_ptr<FeatureLoader> features_;  // may be none
  RunPlots* plots_ = nullptr;
  int64_t close_mosaic_epoch_ = -1;  // -1: none
};

}  // namespace marrow::train
