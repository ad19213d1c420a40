#include "marrow/train/native/steps/images.h"

#include <algorithm>
#include <cmath>

#include "marrow/graph/training_mode.h"

namespace marrow::train::native {

ImageStep::ImageStep(const Reader& reader, int map, std::span<const Map> maps, int lanes,
                     const ParameterPlace& bias)
    : out_channels_(maps[static_cast<size_t>(map)].channels),
      out_height_(maps[static_cast<size_t>(map)].height),
      out_width_(maps[static_cast<size_t>(map)].width),
      lanes_(lanes),
      images_(maps[static_cast<size_t>(map)].images),
      product_(map, maps[static_cast<size_t>(map)].channels, bias) {
  inputs.push_back(reader);
  output = map;
}

int64_t ImageStep::scratch_floats() const {
  return 2 * (in_floats() + out_floats()) + own_floats() +
         std::max(inputs[0].pixels(), out_height_ * out_width_) * lanes_;
}

// `block`: a plane's room.
void ImageStep::prepare(const Run& run, int64_t image, float* block, float* rows) const {
  const Reader& reader = inputs[0];
  const int64_t pixels = reader.pixels();
  for (int b = 0; b < reader.blocks(); ++b) {
    reader.prepare(run, image, b, 0, pixels, block);
    for (int c = 0; c < reader.channels(); ++c)
      if (const int lane = reader.lane_of(c) - b * lanes_; lane >= 0 && lane < lanes_)
        for (int64_t p = 0; p < pixels; ++p) rows[c * pixels + p] = block[p * lanes_ + lane];
  }
}

void ImageStep::forward(const Run& run) {
  product_.begin_forward(run);
  const int64_t out_pixels = out_height_ * out_width_;
  run.for_chunks(images_, std::min(images_, kMostShares), [&](int64_t image, int64_t share, int thread) {
    float* in = run.thread_scratch(thread);
    float* out = in + in_floats();
    float* block = out + out_floats();
    prepare(run, image, block, in);
    compute(run, image, in, block + std::max(inputs[0].pixels(), out_pixels) * lanes_, out);
    for (int64_t b = 0; b * lanes_ < out_channels_; ++b) {
      std::fill_n(block, out_pixels * lanes_, 0.0F);
      for (int64_t lane = 0; lane < std::min<int64_t>(lanes_, out_channels_ - b * lanes_); ++lane)
        for (int64_t p = 0; p < out_pixels; ++p)
          block[p * lanes_ + lane] = out[(b * lanes_ + lane) * out_pixels + p];
      product_.store(run, share, image, b, 0, out_pixels, block);
    }
  });
  product_.end_forward(run);
}

void ImageStep::backward(const Run& run) {
  product_.begin_backward(run);
  Reader& reader = inputs[0];
  reader.begin_backward(lanes_);
  const int64_t shares = std::min(images_, kMostShares);
  begin_backward(shares);
  const int64_t out_pixels = out_height_ * out_width_, pixels = reader.pixels();
  run.for_chunks(images_, shares, [&](int64_t image, int64_t share, int thread) {
    float* in = run.thread_scratch(thread);
    float* dx = in + in_floats();
    float* dy = dx + in_floats();
    float* block = dy + out_floats();
    prepare(run, image, block, in);
    for (int64_t b = 0; b * lanes_ < out_channels_; ++b) {
      product_.prepare_gradient(run, share, image, b, 0, out_pixels, true, block);
      for (int64_t lane = 0; lane < std::min<int64_t>(lanes_, out_channels_ - b * lanes_); ++lane)
        for (int64_t p = 0; p < out_pixels; ++p)
          dy[(b * lanes_ + lane) * out_pixels + p] = block[p * lanes_ + lane];
    }
    differentiate(run, share, image, in, dy, block + std::max(pixels, out_pixels) * lanes_, dx);
    for (int b = 0; b < reader.blocks(); ++b) {
      std::fill_n(block, pixels * lanes_, 0.0F);
      for (int c = 0; c < reader.channels(); ++c)
        if (const int lane = reader.lane_of(c) - b * lanes_; lane >= 0 && lane < lanes_)
          for (int64_t p = 0; p < pixels; ++p) block[p * lanes_ + lane] += dx[c * pixels + p];
      reader.give(run, share, image, b, 0, pixels, block);
    }
  });
  end_backward(shares);
  reader.end_backward(run);
  product_.end_backward(run);
}

namespace {

class DropoutImages final : public ImageStep {
 public:
  std::string kind() const override { return "dropout"; }
  DropoutImages(const Reader& reader, int map, std::span<const Map> maps, int lanes, const Dropout& op,
                size_t node)
      : ImageStep(reader, map, maps, lanes), op_(op), node_(node) {}

 private:
  int64_t own_floats() const override { return in_floats(); }
  void multiply(const Run& run, int64_t image, const float* src, float* mask, float* dst) const {
    TrainingPlace place = run.place;
    place.position += image;
    draw_mask(op_, place, node_, 1, {mask, static_cast<size_t>(in_floats())});
    for (int64_t i = 0; i < in_floats(); ++i) dst[i] = src[i] * mask[i];
  }
  void compute(const Run& run, int64_t image, const float* in, float* own, float* out) const override {
    multiply(run, image, in, own, out);
  }
  void differentiate(const Run& run, int64_t, int64_t image, const float*, const float* dy, float* own,
                     float* dx) override {
    multiply(run, image, dy, own, dx);
  }

  Dropout op_;
  size_t node_;
};

class GatherImages final : public ImageStep {
 public:
  std::string kind() const override { return "gather"; }
  using ImageStep::ImageStep;

 private:
  void compute(const Run&, int64_t, const float* in, float*, float* out) const override {
    std::copy_n(in, in_floats(), out);
  }
  void differentiate(const Run&, int64_t, int64_t, const float*, const float* dy, float*,
                     float* dx) override {
    std::copy_n(dy, in_floats(), dx);
  }
};

// One head of one run at a time: queries q (key, n), keys k, values v (value, n); shares a (n, n).
class AttentionImages final : public ImageStep {
 public:
  std::string kind() const override { return "attention"; }
  AttentionImages(const Reader& reader, int map, std::span<const Map> maps, int lanes, const Attention& op)
      : ImageStep(reader, map, maps, lanes),
        op_(op),
        pixels_(reader.pixels()),
        run_(pixels_ / op.areas),
        factor_(static_cast<float>(1 / std::sqrt(static_cast<double>(op.key_channels)))) {}

 private:
  int64_t own_floats() const override { return 2 * run_ * run_; }

  // Where the head's queries, keys, values and output begin, in a run.
  struct Head {
    int64_t q, k, v, out;
  };
  template <class Work>
  void for_heads(const Work& work) const {
    for (int64_t head = 0; head < op_.heads; ++head)
      for (int64_t area = 0; area < op_.areas; ++area) {
        const int64_t q = head * op_.head_channels() * pixels_ + area * run_;
        const int64_t k = q + op_.key_channels * pixels_;
        work(Head{q, k, k + op_.key_channels * pixels_, head * op_.value_channels * pixels_ + area * run_});
      }
  }

  // a[i][j] = softmax over j of q_i . k_j factor
  void compute_shares(const float* in, const Head& head, float* a) const {
    std::fill_n(a, run_ * run_, 0.0F);
    for (int64_t c = 0; c < op_.key_channels; ++c)
      for (int64_t i = 0; i < run_; ++i) {
        const float q = in[head.q + c * pixels_ + i] * factor_;
        for (int64_t j = 0; j < run_; ++j) a[i * run_ + j] += q * in[head.k + c * pixels_ + j];
      }
    for (int64_t i = 0; i < run_; ++i) {
      float* row = a + i * run_;
      const float largest = *std::max_element(row, row + run_);
      double sum = 0;
      for (int64_t j = 0; j < run_; ++j) sum += double{row[j] = std::exp(row[j] - largest)};
      for (int64_t j = 0; j < run_; ++j) row[j] = static_cast<float>(row[j] / sum);
    }
  }

  void compute(const Run&, int64_t, const float* in, float* a, float* out) const override {
    for_heads([&](const Head& head) {
      compute_shares(in, head, a);
      for (int64_t c = 0; c < op_.value_channels; ++c)
        for (int64_t i = 0; i < run_; ++i) {
          float sum = 0;
          for (int64_t j = 0; j < run_; ++j) sum += a[i * run_ + j] * in[head.v + c * pixels_ + j];
          out[head.out + c * pixels_ + i] = sum;
        }
    });
  }

  void differentiate(const Run&, int64_t, int64_t, const float* in, const float* dy, float* a,
                     float* dx) override {
    float* da = a + run_ * run_;
    std::fill_n(dx, in_floats(), 0.0F);
    for_heads([&](const Head& head) {
      compute_shares(in, head, a);
      std::fill_n(da, run_ * run_, 0.0F);
      for (int64_t c = 0; c < op_.value_channels; ++c)
        for (int64_t i = 0; i < run_; ++i) {
          const float g = dy[head.out + c * pixels_ + i];
          for (int64_t j = 0; j < run_; ++j) {
            dx[head.v + c * pixels_ + j] += g * a[i * run_ + j];
            da[i * run_ + j] += g * in[head.v + c * pixels_ + j];
          }
        }
      // Through the softmax: ds = a (da - sum of a da).
      for (int64_t i = 0; i < run_; ++i) {
        double sum = 0;
        for (int64_t j = 0; j < run_; ++j) sum += double{a[i * run_ + j]} * double{da[i * run_ + j]};
        for (int64_t j = 0; j < run_; ++j)
          da[i * run_ + j] = a[i * run_ + j] * static_cast<float>(da[i * run_ + j] - sum) * factor_;
      }
      for (int64_t c = 0; c < op_.key_channels; ++c)
        for (int64_t i = 0; i < run_; ++i) {
          float sum = 0;
          const float q = in[head.q + c * pixels_ + i];
          for (int64_t j = 0; j < run_; ++j) {
            sum += da[i * run_ + j] * in[head.k + c * pixels_ + j];
            dx[head.k + c * pixels_ + j] += da[i * run_ + j] * q;
          }
          dx[head.q + c * pixels_ + i] += sum;
        }
    });
  }

  Attention op_;
  int64_t pixels_, run_;
  float factor_;
};

}  // namespace

StepPtr make_dropout(const Reader& reader, int map, std::span<const Map> maps, int lanes, const Dropout& op,
                     size_t node) {
  return std::make_unique<DropoutImages>(reader, map, maps, lanes, op, node);
}
StepPtr make_attention(const Reader& reader, int map, std::span<const Map> maps, int lanes,
                       const Attention& op) {
  return std::make_unique<AttentionImages>(reader, map, maps, lanes, op);
}
StepPtr make_gather(const Reader& reader, int map, std::span<const Map> maps, int lanes) {
  return std::make_unique<GatherImages>(reader, map, maps, lanes);
}

}  // namespace marrow::train::native
