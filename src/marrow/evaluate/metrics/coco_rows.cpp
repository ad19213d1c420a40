#include "marrow/evaluate/metrics/coco_rows.h"

#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <string_view>

#include "marrow/base/error.h"
#include "marrow/base/files.h"
#include "marrow/base/text.h"

namespace marrow::evaluate {
namespace {

using Json = nlohmann::json;

constexpr int kMaxDepth = 16;  // a polygon lies five deep

// Receives the events of nlohmann's parser, which is not recursive. `depth_` counts open brackets; a row lies
// at row_depth_, its fields directly in it, the numbers of its bbox one deeper; everything else is skipped.
class RowHandler : public nlohmann::json_sax<Json> {
 public:
  RowHandler(std::string where, bool is_list, const std::function<void(CocoRow&)>& row)
      : where_(std::move(where)), is_list_(is_list), row_depth_(is_list ? 2 : 3), callback_(row) {}

  bool null() override { return value(); }
  bool boolean(bool flag) override {
    if (value() && in_row() && key_ == "iscrowd") row_.crowd = flag;
    return true;
  }
  bool number_integer(number_integer_t number) override { return integer(number); }
  bool number_unsigned(number_unsigned_t number) override {
    if (number > static_cast<number_unsigned_t>(INT64_MAX)) return real(static_cast<double>(number));
    return integer(static_cast<int64_t>(number));
  }
  bool number_float(number_float_t number, const string_t&) override {
    // Ids that went through a table of floats: 17.0.
    constexpr double kExact = 9007199254740992.0;
    if (std::trunc(number) == number && std::abs(number) < kExact)
      return integer(static_cast<int64_t>(number));
    return real(number);
  }
  bool string(string_t& text) override {
    value();
    if (!in_row()) return true;
    if (key_ == "file_name") {
      row_.file_name = std::move(text);
    } else if (key_ == "name") {
      row_.name = std::move(text);
    } else if (key_ == "image_id") {
      row_.image_name = std::move(text);
    }
    return true;
  }
  bool binary(binary_t&) override { return true; }

  bool start_object(size_t) override {
    if (bbox_open_) bad_bbox();
    open();
    if (depth_ == 1 && is_list_) fail("the file is not a list of detections");
    if (depth_ != row_depth_ || !in_section_) return true;
    row_ = CocoRow{.section = section_, .position = position_++};
    row_open_ = true;
    return true;
  }
  bool key(string_t& name) override {
    key_ = std::move(name);
    if (!is_list_ && depth_ == 1) section_ = key_;
    return true;
  }
  bool end_object() override {
    if (row_open_ && depth_ == row_depth_) {
      row_open_ = false;
      callback_(row_);
    }
    --depth_;
    return true;
  }
  bool start_array(size_t) override {
    if (depth_ == 0 && !is_list_) fail("the file is not an object with images and annotations");
    if (in_row()) {
      bbox_open_ = key_ == "bbox";
      bbox_count_ = 0;
      if (bbox_open_) row_.bbox.emplace();
    } else if (bbox_open_) {
      bad_bbox();
    }
    open();
    if (depth_ == row_depth_ - 1) {
      in_section_ = true;
      position_ = 0;
    }
    return true;
  }
  bool end_array() override {
    if (depth_ == row_depth_ - 1) in_section_ = false;
    --depth_;
    if (bbox_open_ && in_row()) {
      bbox_open_ = false;
      if (bbox_count_ != 4) bad_bbox();
    }
    return true;
  }
  bool parse_error(size_t, const std::string&, const nlohmann::detail::exception& error) override {
    fail(fmt::format("it is not JSON: {}", printable(error.what(), 200)));
  }

 private:
  [[noreturn]] void fail(std::string_view what) const {
    throw Error(ErrorKind::kFormat, fmt::format("{}: {}", where_, what));
  }
  [[noreturn]] void bad_bbox() const {
    fail(fmt::format("{}[{}]: bbox should be four numbers", printable(row_.section), row_.position));
  }

  bool in_row() const { return row_open_ && depth_ == row_depth_; }

  void open() {
    if (++depth_ > kMaxDepth) fail("it nests too deep");
  }

  // Any plain value.
  bool value() {
    if (bbox_open_) bad_bbox();
    if (depth_ == 0) fail("it is a single value");
    return true;
  }

  bool integer(int64_t number) {
    if (in_row()) {
      if (key_ == "id") row_.id = number;
      if (key_ == "image_id") row_.image_id = number;
      if (key_ == "category_id") row_.category_id = number;
      if (key_ == "iscrowd") row_.crowd = number != 0;
    }
    return real(static_cast<double>(number));
  }

  bool real(double number) {
    if (bbox_open_) {
      if (bbox_count_ == 4) bad_bbox();
      (*row_.bbox)[bbox_count_++] = number;
    } else if (in_row()) {
      if (key_ == "area") row_.area = number;
      if (key_ == "score") row_.score = number;
    }
    return depth_ > 0 || value();
  }

  const std::string where_;
  const bool is_list_;
  const int row_depth_;
  const std::function<void(CocoRow&)>& callback_;

  int depth_ = 0;
  bool in_section_ = false;
  std::string section_, key_;
  size_t position_ = 0;
  CocoRow row_;
  bool row_open_ = false;
  bool bbox_open_ = false;
  size_t bbox_count_ = 0;
};

}  // namespace

void read_coco_rows(const std::filesystem::path& path, bool is_list,
                    const std::function<void(CocoRow&)>& row) {
  const MappedFile file(path);
  RowHandler handler(path.string(), is_list, row);
  const auto* first = reinterpret_cast<const char*>(file.bytes().data());
  Json::sax_parse(first, first + file.bytes().size(), &handler);
}

}  // namespace marrow::evaluate
