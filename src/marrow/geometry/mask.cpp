#include "marrow/geometry/mask.h"

#include <algorithm>
#include <iterator>
#include <numeric>

namespace marrow {
namespace {

constexpr int kFirstLetter = 48;
constexpr int kGroupBits = 5;
constexpr int64_t kMore = 32, kSign = 16;
constexpr int kMostGroups = 8;  // of a number

}  // namespace

int64_t Mask::area() const {
  return std::accumulate(pixels.begin(), pixels.end(), int64_t{0});
}

bool Mask::is_empty() const {
  return std::ranges::find(pixels, 1) == pixels.end();
}

MaskPart trimmed(const Mask& mask) {
  const auto [width, height] = mask.size;
  int left = width, right = 0, top = height, bottom = 0;
  for (int y = 0; y < height; ++y) {
    const auto row = mask.pixels.begin() + std::ptrdiff_t{y} * width, end = row + width;
    const auto first = std::find(row, end, 1);
    if (first == end) continue;
    const auto last = std::find(std::reverse_iterator(end), std::reverse_iterator(row), 1);
    left = std::min(left, static_cast<int>(first - row));
    right = std::max(right, static_cast<int>(last.base() - row));
    top = std::min(top, y);
    bottom = y + 1;
  }
  if (left >= right) return {};
  MaskPart part{left, top, Mask({right - left, bottom - top})};
  for (int y = top; y < bottom; ++y)
    std::copy_n(mask.pixels.begin() + std::ptrdiff_t{y} * width + left, right - left,
                part.mask.pixels.begin() + std::ptrdiff_t{y - top} * (right - left));
  return part;
}

namespace {

// Marks in `whole` what the part marks.
void mark(const MaskPart& part, int x, int y, Mask& whole) {
  const auto [width, height] = part.mask.size;
  for (int row = 0; row < height; ++row)
    for (int column = 0; column < width; ++column)
      whole.at(part.x - x + column, part.y - y + row) |= part.mask.at(column, row);
}

}  // namespace

Mask whole(const MaskPart& part, Size size) {
  Mask mask(size);
  mark(part, 0, 0, mask);
  return mask;
}

MaskPart united(const MaskPart& a, const MaskPart& b) {
  if (a.is_empty() || b.is_empty()) return a.is_empty() ? b : a;
  const int left = std::min(a.x, b.x), top = std::min(a.y, b.y);
  const int right = std::max(a.x + a.mask.size.width, b.x + b.mask.size.width);
  const int bottom = std::max(a.y + a.mask.size.height, b.y + b.mask.size.height);
  MaskPart both{left, top, Mask({right - left, bottom - top})};
  for (const MaskPart* part : {&a, &b}) mark(*part, left, top, both.mask);
  return both;
}

int64_t shared_pixels(const MaskPart& a, const MaskPart& b) {
  const int left = std::max(a.x, b.x), right = std::min(a.x + a.mask.size.width, b.x + b.mask.size.width);
  const int top = std::max(a.y, b.y), bottom = std::min(a.y + a.mask.size.height, b.y + b.mask.size.height);
  int64_t shared = 0;
  constexpr int kRun = 255;  // of ones fit in a byte, so that many are added at a time
  for (int y = top; y < bottom && left < right; ++y) {
    const auto row = [&](const MaskPart& part) {
      return part.mask.pixels.data() + std::ptrdiff_t{y - part.y} * part.mask.size.width + (left - part.x);
    };
    const uint8_t *of_a = row(a), *of_b = row(b);
    for (int first = 0; first < right - left; first += kRun) {
      const int end = std::min(first + kRun, right - left);
      uint8_t sum = 0;
      for (int i = first; i < end; ++i) sum = static_cast<uint8_t>(sum + (of_a[i] & of_b[i]));
      shared += sum;
    }
  }
  return shared;
}

RunLengths run_lengths(const Mask& mask) {
  RunLengths runs = {0};
  uint8_t current = 0;
  for (int x = 0; x < mask.size.width; ++x)
    for (int y = 0; y < mask.size.height; ++y) {
      if (mask.at(x, y) != current) {
        runs.push_back(0);
        current = mask.at(x, y);
      }
      ++runs.back();
    }
  return runs;
}

std::optional<Mask> mask_of_runs(const RunLengths& runs, Size size) {
  Mask mask(size);
  const auto height = static_cast<uint64_t>(size.height);
  const uint64_t total = mask.pixels.size();
  uint64_t at = 0;
  for (size_t i = 0; i < runs.size(); ++i) {
    if (runs[i] > total - at) return {};
    for (const uint64_t end = at + runs[i]; at < end; ++at)
      if (i % 2 == 1) mask.at(static_cast<int>(at / height), static_cast<int>(at % height)) = 1;
  }
  if (at != total) return {};
  return mask;
}

std::string compressed_runs(const RunLengths& runs) {
  std::string text;
  for (size_t i = 0; i < runs.size(); ++i) {
    int64_t rest = runs[i];
    if (i > 2) rest -= runs[i - 2];
    for (bool more = true; more;) {
      int64_t group = rest & (kMore - 1);
      rest >>= kGroupBits;
      more = (group & kSign) != 0 ? rest != -1 : rest != 0;
      if (more) group |= kMore;
      text += static_cast<char>(group + kFirstLetter);
    }
  }
  return text;
}

std::optional<RunLengths> parse_runs(std::string_view text, size_t most) {
  RunLengths runs;
  for (size_t i = 0; i < text.size();) {
    int64_t number = 0;
    int groups = 0;
    for (bool more = true; more; ++groups) {
      if (i == text.size() || groups == kMostGroups) return {};
      const int64_t group = text[i++] - kFirstLetter;
      if (group < 0 || group >= 2 * kMore) return {};
      number |= (group & (kMore - 1)) << (kGroupBits * groups);
      more = (group & kMore) != 0;
      if (!more && (group & kSign) != 0) number |= -(int64_t{1} << (kGroupBits * (groups + 1)));
    }
    if (runs.size() > 2) number += runs[runs.size() - 2];
    if (number < 0 || number > UINT32_MAX || runs.size() == most) return {};
    runs.push_back(static_cast<uint32_t>(number));
  }
  return runs;
}

}  // namespace marrow
