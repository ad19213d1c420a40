// How the steps by Winograd's algorithm cut a map: outputs into tiles of 4 x 4 pixels, under which lie
// patches of the input.
#pragma once

#include <algorithm>

#include "marrow/engine/kernels/winograd_points.h"
#include "marrow/engine/steps/convolution.h"

namespace marrow::engine {

// The tiles of an image, in order of rows.
class WinogradGrid {
 public:
  explicit WinogradGrid(const View& dst)
      : columns_((dst.width + winograd::kTile - 1) / winograd::kTile),
        tiles_(columns_ * ((dst.height + winograd::kTile - 1) / winograd::kTile)) {}

  int64_t count() const { return tiles_; }
  // Of outputs: the first pixel of a tile, and how many tiles follow in its row, itself counted.
  int64_t y(int64_t tile) const { return tile / columns_ * winograd::kTile; }
  int64_t x(int64_t tile) const { return tile % columns_ * winograd::kTile; }
  int64_t left_in_row(int64_t tile) const { return columns_ - tile % columns_; }

 private:
  int64_t columns_, tiles_;
};

// The columns of input under so many tiles of a row.
template <class Form>
constexpr int64_t patch_columns(int64_t tiles) {
  return (tiles - 1) * winograd::kTile * Form::kStride + Form::kPatch;
}

// Points the rows of args.tiles patches side by side at one channel block of a map; (y, x) is the first
// patch's first pixel, maybe outside. `zeros` are as many pixels as those patches have columns.
template <class Form, class Number>
void point_at_patches(const View& map, const Number* block, int64_t y, int64_t x, int lanes,
                      const Number* zeros, WinogradInputArgs<Number>& args) {
  const int64_t columns = patch_columns<Form>(args.tiles);
  args.first_column = static_cast<int>(std::clamp<int64_t>(-x, 0, columns));
  args.end_column = static_cast<int>(std::clamp<int64_t>(map.width - x, args.first_column, columns));
  for (int64_t row = 0; row < Form::kPatch; ++row)
    args.rows[static_cast<size_t>(row)] =
        y + row >= 0 && y + row < map.height ? block + ((y + row) * map.width + x) * lanes : zeros;
}

}  // namespace marrow::engine
