#include "marrow/data/fingerprint.h"

#include <fmt/format.h>

#include <bit>
#include <filesystem>

#include "marrow/base/random.h"
#include "marrow/data/image_bytes.h"

namespace marrow::data {
namespace {

class Digest {
 public:
  void add(uint64_t value) { state_ = mix_bits(state_ ^ value) + value; }
  void add(double value) { add(std::bit_cast<uint64_t>(value)); }
  void add(const Label& label) {
    add(static_cast<uint64_t>(label.class_id));
    for (const double value : {label.box.cx, label.box.cy, label.box.width, label.box.height}) add(value);
  }
  std::string text() const { return fmt::format("{:016x}", state_); }

 private:
  uint64_t state_ = 0;
};

}  // namespace

std::string fingerprint(std::span<const LabelledImage> images) {
  Digest digest;
  for (const LabelledImage& image : images) {
    digest.add(stream_of(image.path.filename().native()));
    digest.add(bytes_of(image));
    digest.add(static_cast<uint64_t>(image.width));
    digest.add(static_cast<uint64_t>(image.height));
    digest.add(uint64_t{image.labels.size()});
    for (const Label& label : image.labels) digest.add(label);
    for (const Polygon& polygon : image.polygons)
      for (const Point<Normalised, double>& point : polygon) {
        digest.add(point.x);
        digest.add(point.y);
      }
    for (const PartStarts& starts : image.parts)
      for (const uint32_t start : starts) digest.add(uint64_t{start});
    for (const LabelKeypoint& point : image.keypoints)
      for (const double value : {point.x, point.y, point.visibility}) digest.add(value);
    for (const IgnoredLabel& ignored_label : image.ignored) digest.add(ignored_label.label);
  }
  return digest.text();
}

}  // namespace marrow::data
