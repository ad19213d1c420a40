#include "marrow/train/feature_loader.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "marrow/base/counted.h"
#include "marrow/base/error.h"
#include "marrow/base/stopwatch.h"
#include "marrow/loader/memory.h"

namespace marrow::train {
namespace {

// (rows, 1 + kColumns), the first column the image in the batch; those of image i are added to by_image[first
// + i].
template <size_t kColumns>
void take_rows(const Tensor& rows, size_t first,
               std::vector<std::vector<std::array<float, kColumns>>>& by_image) {
  const std::span<const float> values = rows.values();
  for (size_t at = 0; at < values.size(); at += kColumns + 1) {
    auto& row = by_image[first + static_cast<size_t>(values[at])].emplace_back();
    std::copy_n(values.begin() + static_cast<std::ptrdiff_t>(at) + 1, kColumns, row.begin());
  }
}

template <size_t kColumns>
Tensor rows_of(const std::vector<std::vector<std::array<float, kColumns>>>& by_image,
               std::span<const size_t> chosen) {
  std::vector<float> values;
  for (size_t i = 0; i < chosen.size(); ++i)
    for (const auto& row : by_image[chosen[i]]) {
      values.push_back(static_cast<float>(i));
      values.insert(values.end(), row.begin(), row.end());
    }
  constexpr size_t kWidth = kColumns + 1;
  return Tensor::from({static_cast<int64_t>(values.size() / kWidth), static_cast<int64_t>(kWidth)}, values);
}

Tensor maps_of(const Tensor& all, std::span<const size_t> chosen) {
  Shape shape = all.shape();
  const auto floats = static_cast<size_t>(all.size() / shape.front());
  shape.front() = static_cast<int64_t>(chosen.size());
  Tensor maps(shape);
  for (size_t i = 0; i < chosen.size(); ++i)
    std::ranges::copy(all.values().subspan(chosen[i] * floats, floats),
                      maps.values().subspan(i * floats).begin());
  return maps;
}

}  // namespace

FeatureLoader::FeatureLoader(std::shared_ptr<loader::ImageStore> images, FrozenPart frozen, int variants)
    : images_(std::move(images)),
      frozen_(std::move(frozen)),
      variants_(variants),
      count_(loader::training_images(*images_).count()) {
  const auto half = static_cast<double>(loader::available_memory()) / 2;
  if (half > 0 && bytes() > half)
    throw Error(
        ErrorKind::kUsage,
        fmt::format("cache: features: those of {} in {} take {:.1f} GB, and half of the free memory is "
                    "{:.1f} GB. Fewer --cache-variants or a smaller --imgsz may fit",
                    counted(static_cast<int64_t>(count_), "image"), counted(variants_, "variant"),
                    bytes() / 1e9, half / 1e9));
}

double FeatureLoader::bytes() const {
  int64_t floats = 0;
  for (const Shape& shape : frozen_.map_shapes(images_->image_size())) floats += element_count(shape);
  return static_cast<double>(floats) * sizeof(float) * static_cast<double>(count_) *
         static_cast<double>(variants_);
}

std::string FeatureLoader::summary() const {
  std::string shapes;
  for (const Shape& shape : frozen_.map_shapes(images_->image_size()))
    shapes += fmt::format("{}{}x{}x{}", shapes.empty() ? "" : ", ", shape[1], shape[2], shape[3]);
  return fmt::format(
      "cache: what the frozen layers make of {} ({}) is computed once for each of {}, anew when mosaics "
      "close, "
      "and kept: {:.2g} GB; augmentation draws no other variants",
      counted(static_cast<int64_t>(count_), "image"), shapes, counted(variants_, "augmented variant"),
      bytes() / 1e9);
}

void FeatureLoader::start(loader::DetectionLoaderOptions options, uint64_t order_seed, int64_t first) {
  options_ = std::move(options);
  order_seed_ = order_seed;
  next_ = first;
}

// The loader's epoch whose samples this one has. Those of another phase go.
int64_t FeatureLoader::variant_of(int64_t epoch) {
  const int64_t phase = epoch < options_.close_mosaic_epoch ? -1 : options_.close_mosaic_epoch;
  if (std::exchange(phase_, phase) != phase) made_.clear();
  const int64_t first = std::max<int64_t>(phase, 0);
  return first + (epoch - first) % variants_;
}

const FeatureLoader::Variant& FeatureLoader::made(
    int64_t epoch, const std::function<void(const loader::DetectionBatch&)>& show) {
  const auto known = made_.find(epoch);
  if (known != made_.end()) return known->second;
  const Stopwatch clock;
  Variant variant;
  for (Shape shape : frozen_.map_shapes(images_->image_size())) {
    shape.front() = static_cast<int64_t>(count_);
    variant.maps.emplace_back(shape);
  }
  variant.targets.resize(count_);
  variant.ignored.resize(count_);
  loader::DetectionLoaderOptions options = options_;
  options.epochs = epoch + 1;
  loader::DetectionLoader loader(images_, options, epoch);
  int64_t first = 0;
  while (const std::optional<loader::DetectionBatch> batch = loader.next()) {
    show(*batch);
    take_rows(batch->targets, static_cast<size_t>(first), variant.targets);
    take_rows(batch->ignored, static_cast<size_t>(first), variant.ignored);
    for (int64_t i = 0; i < batch->images.dim(0); ++i)
      frozen_.compute(batch->images, i, variant.maps, first++);
  }
  waited_ += clock.seconds();
  return made_.emplace(epoch, std::move(variant)).first->second;
}

std::vector<size_t> FeatureLoader::order_of(int64_t epoch, bool first_time) const {
  if (!first_time) return loader::shuffled_order(count_, order_seed_, epoch);
  std::vector<size_t> order(count_);
  std::iota(order.begin(), order.end(), size_t{0});
  return order;
}

FeatureBatch FeatureLoader::next(const std::function<void(const loader::DetectionBatch&)>& show) {
  const auto size = static_cast<size_t>(options_.batch);
  const auto batches = static_cast<int64_t>((count_ + size - 1) / size);
  FeatureBatch batch;
  batch.epoch = next_ / batches;
  batch.number = next_++ % batches;
  const int64_t drawn = variant_of(batch.epoch);
  const Variant& variant = made(drawn, show);
  // After a loss that was not finite the order must be another one.
  const std::vector<size_t> order =
      order_of(batch.epoch, batch.epoch == drawn && order_seed_ == options_.seed);
  const size_t first = static_cast<size_t>(batch.number) * size;
  const std::span<const size_t> chosen = std::span(order).subspan(first, std::min(size, count_ - first));
  for (const Tensor& maps : variant.maps) batch.features.maps.push_back(maps_of(maps, chosen));
  batch.features.images = {static_cast<int64_t>(chosen.size()), images_->reading().samples.channels,
                           images_->image_size(), images_->image_size()};
  batch.targets = rows_of(variant.targets, chosen);
  batch.ignored = rows_of(variant.ignored, chosen);
  return batch;
}

}  // namespace marrow::train
