// Which pixels belong to something, and COCO's run lengths of them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "marrow/geometry/size.h"

namespace marrow {

struct Mask {
  Mask() = default;
  explicit Mask(Size size)
      : size(size), pixels(static_cast<size_t>(size.width) * static_cast<size_t>(size.height), 0) {}

  uint8_t& at(int x, int y) {
    return pixels[static_cast<size_t>(y) * static_cast<size_t>(size.width) + static_cast<size_t>(x)];
  }
  uint8_t at(int x, int y) const {
    return pixels[static_cast<size_t>(y) * static_cast<size_t>(size.width) + static_cast<size_t>(x)];
  }
  int64_t area() const;
  bool is_empty() const;
  bool operator==(const Mask&) const = default;

  Size size;
  std::vector<uint8_t> pixels;  // 0 or 1, row by row
};

// A mask without the empty rows and columns around it: its first pixel is (x, y) of the whole.
struct MaskPart {
  int x = 0, y = 0;
  Mask mask;

  bool is_empty() const { return mask.size.width == 0; }
  // Of a pixel of the whole, which may lie outside.
  uint8_t at(int column, int row) const {
    const bool is_inside =
        column >= x && row >= y && column < x + mask.size.width && row < y + mask.size.height;
    return is_inside ? mask.at(column - x, row - y) : uint8_t{0};
  }
};
MaskPart trimmed(const Mask& mask);
Mask whole(const MaskPart& part, Size size);  // of which it is a part
MaskPart united(const MaskPart& a, const MaskPart& b);
int64_t shared_pixels(const MaskPart& a, const MaskPart& b);  // of masks of one size

// Lengths of runs down the columns, one after the other, of zeros first.
using RunLengths = std::vector<uint32_t>;
RunLengths run_lengths(const Mask& mask);
// Nothing where the runs do not fill the size exactly.
std::optional<Mask> mask_of_runs(const RunLengths& runs, Size size);

// COCO's text of run lengths: from the fourth on differences to the number two before, in groups of five
// bits, low ones first.
std::string compressed_runs(const RunLengths& runs);
// Nothing for text that is not of that form; at most `most` runs are read.
std::optional<RunLengths> parse_runs(std::string_view text, size_t most);

}  // namespace marrow
