// COCO's JSON, entry by entry.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>
#include <unordered_map>
#include <utility>

#include "marrow/base/error.h"
#include "marrow/base/files.h"
#include "marrow/base/text.h"
#include "marrow/base/utf8.h"
#include "marrow/data/formats/coco_format.h"

namespace marrow::data {
namespace {

// What Python's json module writes for numbers that are not finite, which is no JSON.
constexpr std::string_view kNotFinite[] = {"NaN", "Infinity", "-Infinity"};

// Where the parser is.
struct Reading {
  int line = 1;
  bool in_string = false, escaped = false;
};

// Counts lines as the parser reads, and gives null for numbers that are not finite.
class Cursor {
 public:
  using difference_type = std::ptrdiff_t;
  using value_type = char;
  using pointer = const char*;
  using reference = const char&;
  using iterator_category = std::input_iterator_tag;

  Cursor(const char* at, const char* end, Reading* reading) : at_(at), end_(end), reading_(reading) {
    look();
  }
  reference operator*() const { return *null_ != '\0' ? *null_ : *at_; }
  Cursor& operator++() {
    if (*null_ != '\0') {
      if (*++null_ != '\0') return *this;
      at_ += replaced_;
    } else {
      step();
    }
    look();
    return *this;
  }
  bool operator==(const Cursor& other) const { return at_ == other.at_; }
  bool operator!=(const Cursor& other) const { return at_ != other.at_; }

 private:
  void step() {
    const char c = *at_++;
    if (c == '\n') ++reading_->line;
    if (reading_->escaped)
      reading_->escaped = false;
    else if (c == '"')
      reading_->in_string = !reading_->in_string;
    else
      reading_->escaped = c == '\\' && reading_->in_string;
  }

  void look() {
    if (at_ == end_ || reading_->in_string || (*at_ != 'N' && *at_ != 'I' && *at_ != '-')) return;
    const std::string_view rest(at_, static_cast<size_t>(end_ - at_));
    for (const std::string_view word : kNotFinite)
      if (rest.starts_with(word)) {
        null_ = "null";
        replaced_ = word.size();
      }
  }

  const char* at_;
  const char* end_;
  Reading* reading_;
  const char* null_ = "";  // what is left to give instead
  size_t replaced_ = 0;
};

std::optional<double> number_in(const std::string& text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() ? std::optional(value) : std::nullopt;
}

// Collects images, annotations and categories, which are lists of objects under the root; everything else is
// passed over. Depth 1 is the root, 2 the list, 3 an entry, 4 and more a value of it.
class Handler {
 public:
  Handler(const std::string& name, const int& line) : name_(name), line_(line) {}

  CocoFile take() {
    if (!seen_images_ || !seen_annotations_ || !seen_categories_)
      fail(fmt::format("not COCO's: the list '{}' is missing", !seen_images_        ? "images"
                                                               : !seen_annotations_ ? "annotations"
                                                                                    : "categories"));
    // Files of captions and keypoints have no boxes, and are of no use here.
    if (!file_.objects.empty() && !any_box_)
      fail(fmt::format("none of its {} annotations has a bbox of four numbers", file_.objects.size()));
    std::erase_if(file_.objects, [&](const CocoObject& object) { return is_homeless(object); });
    file_.problems = problems_.take(name_);
    std::ranges::sort(file_.categories, {}, &CocoCategory::id);
    std::ranges::stable_sort(file_.objects, {}, &CocoObject::image_id);
    return std::move(file_);
  }

  bool null() { return true; }
  bool boolean(bool value) { return number(value ? 1 : 0); }
  bool number_integer(int64_t value) { return integer(value); }
  bool number_unsigned(uint64_t value) {
    if (value > static_cast<uint64_t>(INT64_MAX)) return number(static_cast<double>(value));
    return integer(static_cast<int64_t>(value));
  }
  bool number_float(double value, const std::string&) { return number(value); }
  bool binary(std::vector<uint8_t>&) { return true; }

  bool string(std::string& value) {
    if (depth_ == 4 && list_ == List::kCategories && is_list_ && key_ == "keypoints") {
      category_.keypoints.push_back(std::move(value));
      return true;
    }
    if (depth_ == 4 && in_mask() && mask_key_ == "counts") {
      object_.mask->text = std::move(value);
      return true;
    }
    if (depth_ > 3) {
      if (const auto inside = number_in(value)) number(*inside);
      return true;
    }
    if (depth_ != 3 || list_ == List::kNone) return true;
    if (is_id_key()) {
      take_id(text_id(value), true);
      return true;
    }
    if (const auto inside = number_in(value)) number(*inside);
    if (list_ == List::kImages && key_ == "file_name")
      image_.file_name = std::move(value);
    else if (list_ == List::kCategories && key_ == "name")
      category_.name = std::move(value);
    return true;
  }

  bool key(std::string& value) {
    if (depth_ == 1)
      top_key_ = std::move(value);
    else if (depth_ == 3)
      key_ = std::move(value);
    else if (depth_ == 4)
      mask_key_ = std::move(value);
    return true;
  }

  bool start_object(size_t) {
    deeper();
    if (depth_ == 4) {
      is_list_ = false;
      mask_key_.clear();
      if (list_ == List::kAnnotations && key_ == "segmentation") object_.mask = std::make_shared<CocoMask>();
    }
    if (depth_ == 3 && list_ != List::kNone) {
      ++(list_ == List::kImages ? images_ : annotations_);
      image_ = {};
      object_ = {};
      category_ = {};
      image_.id = object_.id = category_.id = object_.image_id = object_.category_id = kNoId;
      has_box_ = false;
      image_.line = object_.line = line_;
      key_.clear();
    }
    return true;
  }

  bool end_object() {
    if (depth_ == 3) end_entry();
    --depth_;
    return true;
  }

  bool start_array(size_t) {
    deeper();
    if (depth_ == 1)
      fail("not COCO's: a list, where an object with images, annotations and categories is wanted");
    if (depth_ == 2) begin_list();
    if (depth_ == 4) {
      place_ = 0;
      is_list_ = true;
    }
    if (depth_ == 5) {
      place_ = 0;
      in_part_ = is_polygon();
      part_begin_ = object_.outline.points.size();
    }
    return true;
  }

  bool end_array() {
    if (depth_ == 4 && list_ == List::kAnnotations && key_ == "bbox") {
      has_box_ = place_ == bbox_.size();
      object_.box = {bbox_[0], bbox_[1], bbox_[2], bbox_[3]};
    }
    if (depth_ == 5 && std::exchange(in_part_, false)) end_part();
    if (depth_ == 2) list_ = List::kNone;
    --depth_;
    return true;
  }

  bool parse_error(size_t, const std::string&, const nlohmann::detail::exception& error) {
    std::string what = error.what();  // "[json.exception...] parse error at line 1, column 2: ..."
    if (const size_t at = what.find(": "); at != std::string::npos) what.erase(0, at + 2);
    fail("not valid JSON: " + printable(what, 200));
  }

 private:
  enum class List { kNone, kImages, kAnnotations, kCategories };

  [[noreturn]] void fail(const std::string& message) const {
    throw Error(ErrorKind::kFormat, fmt::format("{}:{}: {}", name_, line_, message));
  }

  void deeper() {
    if (++depth_ > kMaxJsonDepth) fail(fmt::format("values are nested deeper than {}", kMaxJsonDepth));
  }

  void begin_list() {
    bool* seen = nullptr;
    if (top_key_ == "images") {
      list_ = List::kImages;
      seen = &seen_images_;
    } else if (top_key_ == "annotations") {
      list_ = List::kAnnotations;
      seen = &seen_annotations_;
    } else if (top_key_ == "categories") {
      list_ = List::kCategories;
      seen = &seen_categories_;
    }
    if (seen != nullptr && std::exchange(*seen, true)) fail(fmt::format("'{}' is there twice", top_key_));
  }

  void problem(std::string message) {
    problems_.add(Problem::Severity::kError, Problem::Kind::kLabelSyntax, fmt::format("{}:{}", name_, line_),
                  std::move(message));
  }

  void end_entry() {
    if (list_ == List::kImages) {
      if (image_.id == kNoId || image_.file_name.empty())
        return problem(fmt::format(
            "{}{} without {}; left out", entry_name("image", image_.id, images_),
            image_.file_name.empty() ? "" : fmt::format(" ('{}')", printable(image_.file_name, 60)),
            image_.id == kNoId ? "id" : "file_name"));
      file_.images.push_back(std::move(image_));
    } else if (list_ == List::kAnnotations) {
      any_box_ |= has_box_;
      object_.broken = object_.image_id == kNoId      ? "image_id"
                       : object_.category_id == kNoId ? "category_id"
                       : !has_box_                    ? "bbox of four numbers"
                                                      : "";
      object_.index = annotations_;
      object_.outline.points.shrink_to_fit();  // there are hundreds of thousands
      object_.keypoints.shrink_to_fit();
      file_.objects.push_back(std::move(object_));
    } else if (list_ == List::kCategories) {
      if (category_.id == kNoId || category_.name.empty()) fail("a category without id or name");
      file_.categories.push_back(std::move(category_));
    }
  }

  // An annotation that names no image.
  bool is_homeless(const CocoObject& object) {
    if (object.image_id != kNoId) return false;
    problems_.add(Problem::Severity::kError, Problem::Kind::kLabelSyntax,
                  fmt::format("{}:{}", name_, object.line),
                  fmt::format("{} without image_id; left out", file_.name_of(object)));
    return true;
  }

  std::string entry_name(const char* what, int64_t id, int64_t index) const {
    return id != kNoId ? fmt::format("{} {}", what, printable(file_.id_text(id), 60))
                       : fmt::format("{} number {}", what, index);
  }

  bool is_polygon() const { return list_ == List::kAnnotations && is_list_ && key_ == "segmentation"; }
  bool in_mask() const {
    return list_ == List::kAnnotations && !is_list_ && key_ == "segmentation" && object_.mask != nullptr;
  }

  // A list of the segmentation has been read.
  void end_part() {
    constexpr size_t kLeast = 6;  // three points
    std::vector<double>& points = object_.outline.points;
    const size_t count = points.size() - part_begin_;
    if (count < kLeast || count % 2 != 0)
      points.resize(part_begin_);
    else if (part_begin_ > 0)
      object_.outline.parts.push_back(static_cast<uint32_t>(part_begin_ / 2));
  }

  void mask_number(double value) {
    CocoMask& mask = *object_.mask;
    if (mask_key_ == "size") {
      if (place_ == 0) mask.height = value;
      if (place_ == 1) mask.width = value;
      ++place_;
    } else if (mask_key_ == "counts") {
      mask.broken |= !(value >= 0 && value <= UINT32_MAX && value == std::floor(value));
      mask.counts.push_back(mask.broken ? 0 : static_cast<uint32_t>(value));
    }
  }

  bool is_id_key() const { return key_ == "id" || key_ == "image_id" || key_ == "category_id"; }

  int64_t text_id(const std::string& text) {
    int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error == std::errc() && end == text.data() + text.size() && std::to_string(value) == text)
      return value;
    const auto [found, is_new] =
        text_ids_.try_emplace(text, kFirstTextId + static_cast<int64_t>(file_.text_ids.size()));
    if (is_new) file_.text_ids.push_back(text);
    return found->second;
  }

  void take_id(int64_t value, bool is_text) {
    if (key_ == "id") {
      image_.id = object_.id = category_.id = value;
      image_.id_is_text = is_text;
    } else if (key_ == "image_id") {
      object_.image_id = value;
    } else {
      object_.category_id = value;
    }
  }

  bool integer(int64_t value) {
    if (depth_ == 3 && is_id_key()) take_id(value, false);
    return number(static_cast<double>(value));
  }

  bool number(double value) {
    constexpr double kExact = 9007199254740992;  // whole numbers up to 2^53 are exact
    if (depth_ == 3 && is_id_key() && value == std::floor(value) && std::abs(value) <= kExact)
      take_id(static_cast<int64_t>(value), false);
    if (depth_ == 3) {
      if (key_ == "width") image_.width = value;
      if (key_ == "height") image_.height = value;
      if (key_ == "iscrowd") object_.crowd = value != 0;
      if (key_ == "ignore" || key_ == "difficult") object_.difficult |= value != 0;
    } else if (list_ == List::kAnnotations && depth_ == 4 && key_ == "bbox") {
      if (place_ < bbox_.size()) bbox_[place_] = value;
      ++place_;
    } else if (depth_ == 5 && in_part_) {
      object_.outline.points.push_back(value);
    } else if (depth_ == 5 && in_mask()) {
      mask_number(value);
    } else if (list_ == List::kAnnotations && depth_ == 4 && is_list_ && key_ == "keypoints") {
      object_.keypoints.push_back(value);
    }
    return true;
  }

  const std::string& name_;
  const int& line_;
  CocoFile file_;
  size_t depth_ = 0;
  List list_ = List::kNone;
  std::string top_key_, key_, mask_key_;
  CocoImage image_;
  CocoObject object_;
  CocoCategory category_;
  bool has_box_ = false, any_box_ = false;
  int64_t images_ = 0, annotations_ = 0;  // entries so far
  std::unordered_map<std::string, int64_t> text_ids_;
  ProblemList problems_;
  std::array<double, 4> bbox_ = {};  // as the list in the file
  size_t place_ = 0;                 // in it, or in a mask's size
  size_t part_begin_ = 0;            // of the outline's points
  bool in_part_ = false;             // a list of the segmentation
  bool is_list_ = false;             // the value at depth 4; a mask is an object of numbers
  bool seen_images_ = false, seen_annotations_ = false, seen_categories_ = false;
};

}  // namespace

CocoFile parse_coco(std::string_view text, const std::string& name) {
  text = utf8_content(text, name);
  Reading reading;
  Handler handler(name, reading.line);
  const char* end = text.data() + text.size();
  nlohmann::json::sax_parse(Cursor(text.data(), end, &reading), Cursor(end, end, &reading), &handler);
  return handler.take();
}

CocoFile read_coco(const std::filesystem::path& path) {
  const MappedFile file(path);
  if (file.bytes().size() > kMaxCocoBytes)
    throw Error(ErrorKind::kFile, fmt::format("{}: {} bytes; at most {} are read here", path.string(),
                                              file.bytes().size(), kMaxCocoBytes));
  return parse_coco({reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()}, path.string());
}

}  // namespace marrow::data
