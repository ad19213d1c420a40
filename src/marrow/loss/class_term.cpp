#include "marrow/loss/class_term.h"

#include <algorithm>

namespace marrow::loss {
namespace {

// Of one image's map: a run of blocks of channels that is worth a thread's attention.
struct Run {
  size_t level = 0;
  int64_t image = 0;
  int64_t channel = 0, end = 0;
};
constexpr int64_t kNumbersOfARun = 1 << 14;

template <class T>
class BackgroundTerm {
 public:
  BackgroundTerm(const DetectionLossInput<T>& input, std::span<const double> weights, const LeftOut& left_out,
                 double scale, const LogitLoops<T>& loops)
      : input_(input), weights_(weights), left_out_(left_out), scale_(scale), loops_(loops) {
    int64_t first = 0;
    for (const LevelMaps<const T>& level : input.maps) {
      first_anchor_.push_back(first);
      first += level.classes.pixels();
    }
  }

  double sum() const {
    const std::vector<Run> runs = cut();
    int64_t pixels = 0;
    for (const LevelMaps<const T>& level : input_.maps) pixels = std::max(pixels, level.classes.pixels());
    const int threads = input_.pool == nullptr ? 1 : input_.pool->threads();
    std::vector<T> scratch(static_cast<size_t>(threads * pixels));
    std::vector<double> sums(runs.size());
    for_each_chunk(input_.pool, static_cast<int64_t>(runs.size()), [&](int64_t run, int thread) {
      sums[static_cast<size_t>(run)] = of_run(
          runs[static_cast<size_t>(run)],
          std::span(scratch).subspan(static_cast<size_t>(thread * pixels), static_cast<size_t>(pixels)));
    });
    double sum = 0;
    for (const double of_run : sums) sum += of_run;
    return sum;
  }

 private:
  std::vector<Run> cut() const {
    std::vector<Run> runs;
    for (size_t level = 0; level < input_.maps.size(); ++level) {
      const MapView<const T>& map = input_.maps[level].classes;
      const int64_t block = std::max<int64_t>(map.pixels() * map.lanes, 1);
      const int64_t step = std::max<int64_t>(kNumbersOfARun / block, 1) * map.lanes;
      for (int64_t image = 0; image < map.images; ++image)
        for (int64_t channel = 0; channel < map.channels; channel += step)
          runs.push_back({level, image, channel, std::min(channel + step, map.channels)});
    }
    return runs;
  }

  // scratch: a number for each pixel.
  double of_run(const Run& run, std::span<T> scratch) const {
    const MapView<const T>& map = input_.maps[run.level].classes;
    const bool all_alike = weights_.empty() && left_out_[static_cast<size_t>(run.image)].empty();
    // Whole blocks lie one behind the other.
    const int64_t whole = all_alike ? (run.end - run.channel) / map.lanes * map.lanes : 0;
    double sum = 0;
    if (whole > 0)
      sum = loops_.softplus(map.channel(run.image, run.channel), whole * map.pixels(), static_cast<T>(scale_),
                            gradient(run, run.channel));
    for (int64_t c = run.channel + whole; c < run.end; ++c) sum += channel_term(run, c, scratch);
    return sum;
  }

  T* gradient(const Run& run, int64_t channel) const {
    return input_.gradients.empty() ? nullptr
                                    : input_.gradients[run.level].classes.channel(run.image, channel);
  }

  double channel_term(const Run& run, int64_t channel, std::span<T> scratch) const {
    const MapView<const T>& map = input_.maps[run.level].classes;
    const std::vector<uint8_t>& marks = left_out_[static_cast<size_t>(run.image)];
    const uint8_t* const out = marks.empty() ? nullptr : marks.data() + first_anchor_[run.level];
    const double weight = weights_.empty() ? 1 : weights_[static_cast<size_t>(channel)];
    const T* const x = map.channel(run.image, channel);
    int64_t kept = 0;
    for (int64_t pixel = 0; pixel < map.pixels(); ++pixel)
      if (out == nullptr || out[pixel] == 0) scratch[static_cast<size_t>(kept++)] = x[pixel * map.lanes];
    T* const to = gradient(run, channel);
    const double sum = loops_.softplus(scratch.data(), kept, static_cast<T>(scale_ * weight),
                                       to == nullptr ? nullptr : scratch.data());
    if (to == nullptr) return weight * sum;
    kept = 0;
    for (int64_t pixel = 0; pixel < map.pixels(); ++pixel)
      to[pixel * map.lanes] = out == nullptr || out[pixel] == 0 ? scratch[static_cast<size_t>(kept++)] : T{0};
    return weight * sum;
  }

  const DetectionLossInput<T>& input_;
  std::span<const double> weights_;
  const LeftOut& left_out_;
  double scale_;
  const LogitLoops<T>& loops_;
  std::vector<int64_t> first_anchor_;  // of each level
};

}  // namespace

template <class T>
double background_class_term(const DetectionLossInput<T>& input, std::span<const double> weights,
                             const LeftOut& left_out, double scale, const LogitLoops<T>& loops) {
  return BackgroundTerm<T>(input, weights, left_out, scale, loops).sum();
}

template double background_class_term<float>(const DetectionLossInput<float>&, std::span<const double>,
                                             const LeftOut&, double, const LogitLoops<float>&);
template double background_class_term<double>(const DetectionLossInput<double>&, std::span<const double>,
                                              const LeftOut&, double, const LogitLoops<double>&);

}  // namespace marrow::loss
