#include "marrow/data/formats/coco_format.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <span>

#include "marrow/base/error.h"
#include "marrow/base/files.h"
#include "marrow/base/text.h"
#include "marrow/data/pixel_labels.h"

namespace marrow::data {
namespace {

// Counts lines as the parser reads.
class Cursor {
 public:
  using difference_type = std::ptrdiff_t;
  using value_type = char;
  using pointer = const char*;
  using reference = const char&;
  using iterator_category = std::input_iterator_tag;

  Cursor(const char* at, int* line) : at_(at), line_(line) {}
  reference operator*() const { return *at_; }
  Cursor& operator++() {
    if (*at_ == '\n') ++*line_;
    ++at_;
    return *this;
  }
  bool operator==(const Cursor& other) const { return at_ == other.at_; }
  bool operator!=(const Cursor& other) const { return at_ != other.at_; }

 private:
  const char* at_;
  int* line_;
};

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
    if (depth_ != 3) return true;
    if (key_ == "id" || key_ == "image_id" || key_ == "category_id")
      fail(fmt::format("{} '{}' is not a whole number", key_, printable(value, 40)));
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
    return true;
  }

  bool start_object(size_t) {
    deeper();
    if (depth_ == 4) is_list_ = false;
    if (depth_ == 3 && list_ != List::kNone) {
      image_ = {};
      object_ = {};
      category_ = {};
      has_id_ = false;
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
    return true;
  }

  bool end_array() {
    if (depth_ == 4 && list_ == List::kAnnotations && key_ == "bbox") {
      object_.has_box = place_ == bbox_.size();
      object_.box = {bbox_[0], bbox_[1], bbox_[2], bbox_[3]};
    }
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

  void end_entry() {
    if (list_ == List::kImages) {
      if (!has_id_ || image_.file_name.empty()) fail("an image without id or file_name");
      file_.images.push_back(std::move(image_));
    } else if (list_ == List::kAnnotations) {
      // Captions and keypoints files have no boxes, and are of no use here.
      if (!object_.has_image || !object_.has_category || !object_.has_box)
        fail("an annotation without image_id, category_id or a bbox of four numbers");
      file_.objects.push_back(std::move(object_));
    } else if (list_ == List::kCategories) {
      if (!has_id_ || category_.name.empty()) fail("a category without id or name");
      file_.categories.push_back(std::move(category_));
    }
  }

  bool integer(int64_t value) {
    if (depth_ == 3) {
      if (key_ == "id") {
        has_id_ = true;
        image_.id = object_.id = category_.id = value;
      } else if (key_ == "image_id") {
        object_.has_image = true;
        object_.image_id = value;
      } else if (key_ == "category_id") {
        object_.has_category = true;
        object_.category_id = value;
      }
    }
    return number(static_cast<double>(value));
  }

  bool number(double value) {
    if (depth_ == 3) {
      if (key_ == "width") image_.width = value;
      if (key_ == "height") image_.height = value;
      if (key_ == "iscrowd") object_.crowd = value != 0;
      if (key_ == "ignore" || key_ == "difficult") object_.difficult |= value != 0;
    } else if (list_ == List::kAnnotations && depth_ == 4 && key_ == "bbox") {
      if (place_ < bbox_.size()) bbox_[place_] = value;
      ++place_;
    } else if (list_ == List::kAnnotations && depth_ == 5 && is_list_ && key_ == "segmentation") {
      object_.polygon.push_back(static_cast<float>(value));
    }
    return true;
  }

  const std::string& name_;
  const int& line_;
  CocoFile file_;
  size_t depth_ = 0;
  List list_ = List::kNone;
  std::string top_key_, key_;
  CocoImage image_;
  CocoObject object_;
  CocoCategory category_;
  bool has_id_ = false;
  std::array<double, 4> bbox_ = {};  // as the list in the file
  size_t place_ = 0;                 // in it
  bool is_list_ = false;             // the value at depth 4; a mask is an object of numbers
  bool seen_images_ = false, seen_annotations_ = false, seen_categories_ = false;
};

}  // namespace

CocoFile parse_coco(std::string_view text, const std::string& name) {
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  int line = 1;
  Handler handler(name, line);
  nlohmann::json::sax_parse(Cursor(text.data(), &line), Cursor(text.data() + text.size(), &line), &handler);
  return handler.take();
}

CocoFile read_coco(const std::filesystem::path& path) {
  const MappedFile file(path);
  if (file.bytes().size() > kMaxCocoBytes)
    throw Error(ErrorKind::kFile, fmt::format("{}: {} bytes; at most {} are read here", path.string(),
                                              file.bytes().size(), kMaxCocoBytes));
  return parse_coco({reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()}, path.string());
}

int CocoClasses::find(int64_t category_id) const {
  const auto found = std::ranges::lower_bound(class_of, category_id, {}, &std::pair<int64_t, int>::first);
  return found == class_of.end() || found->first != category_id ? -1 : found->second;
}

ParsedLabels coco_labels(const CocoImage& stated, const CocoObject* objects, size_t count,
                         const CocoClasses& classes, int width, int height, const std::string& file) {
  PixelLabels labels(stated.width, stated.height, width, height);
  labels.check_size(fmt::format("{}:{}", file, stated.line));
  for (const CocoObject& object : std::span(objects, count)) {
    const std::string place = fmt::format("{}:{}", file, object.line);
    const int class_id = classes.find(object.category_id);
    if (class_id < 0) {
      labels.problem(Problem::Severity::kWarning, Problem::Kind::kUnknownClass, place,
                     fmt::format("annotation {}: category {} is not a class of this dataset; left out",
                                 object.id, object.category_id));
      continue;
    }
    labels.add({class_id, object.box.corner_form(), object.crowd, object.difficult, object.polygon}, place);
  }
  return labels.take(file);
}

}  // namespace marrow::data
