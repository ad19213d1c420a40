// What a band of a convolution reads: prepared input rows with the zeros around them, and likewise rows of
// the output's gradient.
#pragma once

#include <cstring>

#include "marrow/train/native/steps/bands.h"
#include "marrow/train/native/steps/product_output.h"

namespace marrow::train::native {

class Windows {
 public:
  Windows(const Axis& rows, const Axis& columns, int64_t most_rows, int lanes)
      : rows_(rows), columns_(columns), most_(most_rows), lanes_(lanes) {}

  int64_t input_width() const { return columns_.covered(columns_.out); }
  int64_t input_rows(int64_t outputs) const { return rows_.covered(outputs); }
  int64_t input_block() const { return input_rows(most_) * input_width() * lanes_; }

  int64_t gradient_width() const {
    return columns_.before + std::max(columns_.out, columns_.indices() + columns_.after);
  }
  int64_t gradient_rows(const Band& band) const {
    return rows_.before + std::max(band.rows, band.indices + rows_.after);
  }
  int64_t most_indices() const {
    return std::max(most_, rows_.indices() - (bands_of(rows_, most_) - 1) * most_);
  }
  int64_t gradient_block() const {
    return (rows_.before + std::max(most_, most_indices() + rows_.after)) * gradient_width() * lanes_;
  }
  // Of the band's first output.
  int64_t gradient_origin() const { return (rows_.before * gradient_width() + columns_.before) * lanes_; }

  // One block of the input's rows that the band's outputs read.
  void prepare_input(const Run& run, const Reader& reader, const Band& band, int block, float* dst) const {
    const int64_t width = input_width(), first = band.first * rows_.stride - rows_.pad;
    const int64_t from = std::max<int64_t>(-columns_.pad, 0);  // column of the map
    const int64_t count = std::clamp<int64_t>(width - columns_.pad, 0, columns_.in) - from;
    for (int64_t row = 0; row < input_rows(band.rows); ++row, dst += width * lanes_) {
      const int64_t y = first + row;
      if (y < 0 || y >= rows_.in || count <= 0) {
        clear(dst, width);
        continue;
      }
      clear(dst, columns_.pad);
      reader.prepare(run, band.image, block, y * columns_.in + from, count,
                     dst + (columns_.pad + from) * lanes_);
      const int64_t end = columns_.pad + from + count;
      clear(dst + end * lanes_, width - end);
    }
  }

  // One block of the gradient's rows around the band.
  void prepare_gradient(const Run& run, ProductOutput& product, int64_t share, const Band& band,
                        int64_t block, float* dst) const {
    const int64_t width = gradient_width();
    for (int64_t row = 0; row < gradient_rows(band); ++row, dst += width * lanes_) {
      const int64_t y = band.first - rows_.before + row;
      if (y < 0 || y >= rows_.out) {
        clear(dst, width);
        continue;
      }
      clear(dst, columns_.before);
      const bool own = y >= band.first && y < band.first + band.rows;
      product.prepare_gradient(run, share, band.image, block, y * columns_.out, columns_.out, own,
                               dst + columns_.before * lanes_);
      const int64_t end = columns_.before + columns_.out;
      clear(dst + end * lanes_, width - end);
    }
  }

  void clear(float* dst, int64_t pixels) const {
    if (pixels > 0) std::memset(dst, 0, static_cast<size_t>(pixels * lanes_) * sizeof(float));
  }

 private:
  const Axis& rows_;
  const Axis& columns_;
  int64_t most_;
  int lanes_;
};

}  // namespace marrow::train::native
