#include "marrow/data/label_cache_pictures.h"

namespace marrow::data {
namespace {

void put_label(ByteWriter& out, const Label& label) {
  out.put<int32_t>(label.class_id);
  for (const double value : {label.box.cx, label.box.cy, label.box.width, label.box.height}) out.put(value);
}

Label get_any_label(ByteReader& in) {
  Label label;
  label.class_id = in.get<int32_t>();
  for (double* value : {&label.box.cx, &label.box.cy, &label.box.width, &label.box.height})
    *value = in.get_finite();
  return label;
}

Label get_label(ByteReader& in, int classes) {
  const Label label = get_any_label(in);
  in.require(label.class_id >= 0 && label.class_id < classes);
  return label;
}

constexpr size_t kLabelBytes = 36, kPointBytes = 16, kKeypointBytes = 24, kCountBytes = 8;
constexpr size_t kIgnoredBytes = 1 + kLabelBytes + 2 * kCountBytes;

void put_points(ByteWriter& out, const Polygon& polygon) {
  out.put_count(polygon.size());
  for (const auto& point : polygon) {
    out.put(point.x);
    out.put(point.y);
  }
}

void get_points(ByteReader& in, Polygon& polygon) {
  polygon.resize(in.get_count(kPointBytes));
  for (auto& point : polygon) {
    point.x = in.get_finite();
    point.y = in.get_finite();
  }
}

void put_parts(ByteWriter& out, const PartStarts& starts) {
  out.put_count(starts.size());
  for (const uint32_t start : starts) out.put(start);
}

PartStarts get_parts(ByteReader& in, size_t points) {
  PartStarts starts(in.get_count(sizeof(uint32_t)));
  uint32_t last = 0;
  for (uint32_t& start : starts) {
    start = in.get<uint32_t>();
    in.require(start > last && start < points);
    last = start;
  }
  return starts;
}

IgnoredLabel get_ignored(ByteReader& in, int classes) {
  using Reason = IgnoredLabel::Reason;
  const auto number = in.get<uint8_t>();
  in.require(number <= static_cast<uint8_t>(Reason::kClass));
  const auto reason = static_cast<Reason>(number);
  IgnoredLabel ignored = {reason == Reason::kClass ? get_any_label(in) : get_label(in, classes), reason};
  in.require(reason != Reason::kClass || ignored.label.class_id == kIgnoreClass);
  get_points(in, ignored.polygon);
  in.require(ignored.polygon.empty() || reason == Reason::kCrowd);
  ignored.parts = get_parts(in, ignored.polygon.size());
  return ignored;
}

}  // namespace

void put_stamp(ByteWriter& out, const FileStamp& stamp) {
  out.put(stamp.bytes);
  out.put(stamp.modified_ns);
}

FileStamp get_stamp(ByteReader& in) {
  const auto bytes = in.get<int64_t>();
  return {bytes, in.get<int64_t>()};
}

void put_picture(ByteWriter& out, const ScannedImage& picture) {
  const LabelledImage& image = picture.image;
  out.put_string(image.path.native());
  put_stamp(out, picture.image_stamp);
  out.put_string(picture.annotation.native());
  put_stamp(out, picture.annotation_stamp);
  out.put<uint8_t>(picture.usable);
  out.put<int32_t>(image.width);
  out.put<int32_t>(image.height);
  out.put_count(image.labels.size());
  for (const Label& label : image.labels) put_label(out, label);
  out.put<uint8_t>(!image.polygons.empty());
  for (const Polygon& polygon : image.polygons) put_points(out, polygon);
  out.put<uint8_t>(!image.parts.empty());
  for (const PartStarts& starts : image.parts) put_parts(out, starts);
  out.put<uint8_t>(!image.keypoints.empty());
  for (const LabelKeypoint& point : image.keypoints)
    for (const double value : {point.x, point.y, point.visibility}) out.put(value);
  out.put_count(image.ignored.size());
  for (const IgnoredLabel& ignored : image.ignored) {
    out.put<uint8_t>(static_cast<uint8_t>(ignored.reason));
    put_label(out, ignored.label);
    put_points(out, ignored.polygon);
    put_parts(out, ignored.parts);
  }
}

ScannedImage get_picture(ByteReader& in, int classes, const KeypointShape& keypoints) {
  ScannedImage picture;
  LabelledImage& image = picture.image;
  image.path = in.get_string();
  picture.image_stamp = get_stamp(in);
  picture.annotation = in.get_string();
  picture.annotation_stamp = get_stamp(in);
  picture.usable = in.get<uint8_t>() != 0;
  image.width = in.get<int32_t>();
  image.height = in.get<int32_t>();
  in.require(!picture.usable ||
             (image.width >= kMinImageSide && image.height >= kMinImageSide &&
              image.width <= image::kMaxImageSide && image.height <= image::kMaxImageSide));
  image.labels.resize(in.get_count(kLabelBytes));
  for (Label& label : image.labels) label = get_label(in, classes);
  if (in.get<uint8_t>() != 0) {
    image.polygons.resize(image.labels.size());
    for (Polygon& polygon : image.polygons) {
      get_points(in, polygon);
      in.require(!polygon.empty());
    }
  }
  if (in.get<uint8_t>() != 0) {
    in.require(!image.polygons.empty());
    image.parts.resize(image.polygons.size());
    for (size_t i = 0; i < image.parts.size(); ++i) image.parts[i] = get_parts(in, image.polygons[i].size());
  }
  if (in.get<uint8_t>() != 0) {
    in.require(!image.labels.empty() && keypoints.count > 0);
    const auto each = static_cast<size_t>(keypoints.count);
    in.require_room(image.labels.size(), each * kKeypointBytes);
    image.keypoints.resize(image.labels.size() * each);
    for (LabelKeypoint& point : image.keypoints)
      for (double* value : {&point.x, &point.y, &point.visibility}) *value = in.get_finite();
  }
  image.ignored.resize(in.get_count(kIgnoredBytes));
  for (IgnoredLabel& ignored : image.ignored) ignored = get_ignored(in, classes);
  return picture;
}

}  // namespace marrow::data
