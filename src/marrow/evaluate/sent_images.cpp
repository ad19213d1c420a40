#include "marrow/evaluate/sent_images.h"

#include <cstring>
#include <type_traits>
#include <variant>
#include <vector>

#include "marrow/base/error.h"

namespace marrow::evaluate {
namespace {

class Out {
 public:
  explicit Out(std::string& bytes) : bytes_(bytes) {}

  template <class T>
  void value(const T& value) {
    static_assert(std::is_trivially_copyable_v<T>);
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  void text(std::string_view text) {
    value(text.size());
    bytes_ += text;
  }
  template <class List>
  void list(const List& list) {
    value(list.size());
    for (const auto& item : list) value(item);
  }

 private:
  std::string& bytes_;
};

class In {
 public:
  explicit In(std::string_view bytes) : bytes_(bytes) {}

  bool at_end() const { return bytes_.empty(); }
  template <class T>
  T value() {
    T value;
    std::memcpy(&value, take(sizeof value).data(), sizeof value);
    return value;
  }
  std::string text() { return std::string(take(value<size_t>())); }
  template <class T>
  std::vector<T> list() {
    const auto size = value<size_t>();
    if (size > bytes_.size()) take(size);
    std::vector<T> list;
    for (size_t i = 0; i < size; ++i) list.push_back(value<T>());
    return list;
  }

 private:
  std::string_view take(size_t size) {
    if (size > bytes_.size()) fail_format("images that another worker measured end in the middle");
    const std::string_view taken = bytes_.substr(0, size);
    bytes_.remove_prefix(size);
    return taken;
  }

  std::string_view bytes_;
};

// Overlaps as numbers: of all pairs, or of those of one class alone, which are all that is asked for.
void write_overlaps(Out& out, const Overlap& overlap, const ValidatedImage& image, bool of_one_class) {
  out.value(static_cast<bool>(overlap));
  if (!overlap) return;
  for (size_t t = 0; t < image.truth.size(); ++t)
    for (size_t d = 0; d < image.detections.size(); ++d)
      out.value(of_one_class && image.truth[t].class_id != image.detections[d].class_id ? 0 : overlap(t, d));
}

Overlap read_overlaps(In& in, size_t truth, size_t detections) {
  if (!in.value<bool>()) return {};
  std::vector<float> values;
  for (size_t i = 0; i < truth * detections; ++i) values.push_back(in.value<float>());
  return [values = std::move(values), detections](size_t t, size_t d) { return values[t * detections + d]; };
}

void write_coco(Out& out, const std::optional<CocoOverlaps>& coco) {
  out.value(coco.has_value());
  if (!coco) return;
  out.list(coco->entries);
  out.list(coco->truth_areas);
  out.list(coco->found_areas);
  out.list(coco->ignored);
}

std::optional<CocoOverlaps> read_coco(In& in) {
  if (!in.value<bool>()) return {};
  CocoOverlaps coco;
  coco.entries = in.list<CocoOverlaps::Entry>();
  coco.truth_areas = in.list<double>();
  coco.found_areas = in.list<double>();
  coco.ignored = in.list<bool>();
  return coco;
}

void write_id(Out& out, const std::optional<CocoImageId>& id) {
  out.value(id ? static_cast<int>(id->index()) : -1);
  if (!id) return;
  if (const auto* number = std::get_if<int64_t>(&*id))
    out.value(*number);
  else
    out.text(std::get<std::string>(*id));
}

std::optional<CocoImageId> read_id(In& in) {
  switch (in.value<int>()) {
    case 0:
      return in.value<int64_t>();
    case 1:
      return in.text();
    default:
      return {};
  }
}

// What a ValidatedImage refers to is here.
struct ReadImage {
  ValidatedImage image;
  std::vector<TruthBox> truth;
  std::vector<detect::InputDetection> detections;
};

void read_image(In& in, ReadImage& read) {
  ValidatedImage& image = read.image;
  image.file_name = in.text();
  image.picture = in.value<Size>();
  image.network = in.value<Size>();
  image.ratio_pad = in.value<RatioPad>();
  read.truth = in.list<TruthBox>();
  read.detections = in.list<detect::InputDetection>();
  image.truth = read.truth;
  image.detections = read.detections;
  if (in.value<bool>()) image.coco_truth = in.list<CocoTruthBox>();
  image.crowds = in.list<CocoTruthBox>();
  image.image_id = read_id(in);
  image.overlap = read_overlaps(in, read.truth.size(), read.detections.size());
  image.second_overlap = read_overlaps(in, read.truth.size(), read.detections.size());
  image.coco = read_coco(in);
  for (auto left = in.value<size_t>(); left > 0; --left) image.fields.push_back(in.text());
  image.turned = in.list<RotatedBox<ImagePixels>>();
}

}  // namespace

void append_image(std::string& bytes, int64_t batch, const ValidatedImage& image) {
  Out out(bytes);
  out.value(batch);
  out.text(image.file_name);
  out.value(image.picture);
  out.value(image.network);
  out.value(image.ratio_pad);
  out.list(image.truth);
  out.list(image.detections);
  out.value(image.coco_truth.has_value());
  if (image.coco_truth) out.list(*image.coco_truth);
  out.list(image.crowds);
  write_id(out, image.image_id);
  write_overlaps(out, image.overlap, image, false);
  write_overlaps(out, image.second_overlap, image, true);
  write_coco(out, image.coco);
  out.value(image.fields.size());
  for (const std::string& field : image.fields) out.text(field);
  out.list(image.turned);
}

void visit_images(std::span<const std::string> workers,
                  const std::function<void(const ValidatedImage&)>& visit) {
  struct Row {
    In in;
    std::optional<int64_t> batch;  // of the next image
  };
  const auto next_batch = [](In& in) {
    return in.at_end() ? std::nullopt : std::optional(in.value<int64_t>());
  };
  std::vector<Row> rows;
  for (const std::string& bytes : workers) {
    rows.push_back({In(bytes), {}});
    rows.back().batch = next_batch(rows.back().in);
  }
  while (true) {
    Row* first = nullptr;
    for (Row& row : rows)
      if (row.batch && (first == nullptr || *row.batch < *first->batch)) first = &row;
    if (first == nullptr) return;
    ReadImage read;
    read_image(first->in, read);
    visit(read.image);
    first->batch = next_batch(first->in);
  }
}

}  // namespace marrow::evaluate
