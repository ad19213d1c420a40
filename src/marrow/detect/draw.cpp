#include "marrow/detect/draw.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <opencv2/imgproc.hpp>
#include <optional>
#include <vector>

#include "marrow/base/text.h"
#include "marrow/detect/canvas.h"
#include "marrow/detect/draw_extras.h"
#include "marrow/detect/font_text.h"
#include "marrow/detect/results.h"

namespace marrow::detect {
namespace {

// Neighbouring class numbers get colours far apart; written as red, green, blue.
constexpr uint32_t kPalette[] = {0xe6194b, 0x3cb44b, 0x4363d8, 0xf58231, 0x911eb4, 0x42d4f4, 0xf032e6,
                                 0xbfef45, 0x469990, 0x9a6324, 0xffe119, 0x800000, 0xaaffc3, 0x000075,
                                 0xfabed4, 0x808000, 0xdcbeff, 0xffd8b1, 0x0082c8, 0xa9a9a9};

constexpr int kFont = cv::FONT_HERSHEY_SIMPLEX;
constexpr double kScalePerLineWidth = 0.27;  // 0.8 at the line width of a photo of a megapixel
constexpr double kLineShare = 0.003;         // of the mean of width and height
constexpr double kSmallestScale = 0.25;      // below it letters run together
constexpr double kSmallImage = 640;          // pixels; in smaller ones letters shrink too, by the square root

std::array<uint8_t, 3> text_bgr(std::array<uint8_t, 3> ground) {
  double brightness = 0.114 * ground[0] + 0.587 * ground[1] + 0.299 * ground[2];
  return brightness > 140 ? std::array<uint8_t, 3>{0, 0, 0} : std::array<uint8_t, 3>{255, 255, 255};
}

cv::Rect pixel_box(const Box<ImagePixels>& box, Size picture) {
  auto pixel = [](float value, int limit) {
    return static_cast<int>(std::clamp(value, 0.0f, static_cast<float>(limit - 1)));
  };
  return {cv::Point(pixel(box.x1, picture.width), pixel(box.y1, picture.height)),
          cv::Point(pixel(box.x2, picture.width), pixel(box.y2, picture.height))};
}

struct Label {
  std::string text;
  double scale = 1.0;
  int thickness = 1;
  int margin = 1;    // between the letters and the edge of the ground
  int baseline = 0;  // what hangs below the line
  cv::Size letters;
  std::optional<TextPixels> drawn;  // by a font, where the letters are not OpenCV's

  int width() const { return letters.width + 2 * margin; }
  int height() const { return letters.height + baseline + 2 * margin; }
};

// OpenCV's letters are ASCII's. A font takes the others, at a size that can be read.
constexpr double kEmPerScale = 29;  // pixels: capitals as high as OpenCV's
constexpr int kSmallestEm = 12;

Label measure(const std::string& text, double scale, int class_id) {
  Label label{.text = text, .scale = scale};
  if (std::ranges::any_of(text, [](char c) { return static_cast<unsigned char>(c) > 0x7e; })) {
    const int em = std::max(static_cast<int>(std::lround(scale * kEmPerScale)), kSmallestEm);
    label.drawn = draw_text(text, em, text_bgr(class_colour(class_id)));
  }
  label.thickness = std::max(1, static_cast<int>(std::lround(scale * 2.0)));
  label.margin = std::max(1, static_cast<int>(std::lround(scale * 4)));
  if (label.drawn) {
    label.letters = {label.drawn->width, label.drawn->above};
    label.baseline = label.drawn->below;
    return label;
  }
  label.letters = cv::getTextSize(text, kFont, scale, label.thickness, &label.baseline);
  label.baseline =
      static_cast<int>(std::lround(label.letters.height * 0.35));  // g and p; OpenCV allows for more
  return label;
}

// The longest beginning of the text, of whole letters and not empty, that fits in the width at the smallest
// type.
Label cut_label(const std::string& text, int class_id, int width) {
  std::vector<std::string> beginnings;
  for (size_t end = 1; end <= text.size(); ++end)
    if (end == text.size() || (static_cast<unsigned char>(text[end]) & 0xc0) != 0x80)
      beginnings.push_back(text.substr(0, end));
  if (beginnings.empty()) return measure(text, kSmallestScale, class_id);
  const auto fits = [&](const std::string& beginning) {
    return measure(beginning, kSmallestScale, class_id).width() <= width;
  };
  const auto longer = std::partition_point(beginnings.begin() + 1, beginnings.end(), fits);
  return measure(*(longer - 1), kSmallestScale, class_id);
}

// The largest type up to the image's usual one in which the label fits the image's width, then the
// longest text.
Label fitting_label(const std::string& name, const Detection& detection, Size picture) {
  const float confidence = detection.confidence;
  const int class_id = detection.class_id;
  const double side = (picture.width + picture.height) / 2.0;
  const double line = std::max(std::nearbyint(side * kLineShare), 2.0);
  double usual = line * kScalePerLineWidth * std::sqrt(std::min(1.0, side / kSmallImage));
  usual = std::max(usual, kSmallestScale);
  std::string full = confidence == kNoConfidence ? name : fmt::format("{} {:.2f}", name, confidence);
  Label label = measure(full, usual, class_id);
  if (label.width() > picture.width) {
    label = measure(full, std::max(usual * picture.width / label.width() * 0.95, kSmallestScale), class_id);
  }
  return label.width() > picture.width ? cut_label(name, class_id, picture.width) : label;
}

// Where a tag may lie, the best place first, all inside the image: above its box; in it, where it hides
// little of it; below; beside; in it all the same.
std::vector<cv::Rect> places(Size picture, const cv::Rect& box, const Label& label, int line) {
  constexpr int kLittle = 4;  // a tag in a box takes at most a fourth of it
  const int width = label.width(), height = label.height();
  const int left = box.x - line / 2, right = box.x + box.width + line / 2;
  const int top = box.y - line / 2, bottom = box.y + box.height + line / 2;
  const auto clamped_left = [&](int x) { return std::clamp(x, 0, std::max(picture.width - width, 0)); };
  const auto clamped_top = [&](int y) { return std::clamp(y, 0, std::max(picture.height - height, 0)); };
  const bool above = top >= height, below = bottom + height < picture.height;
  const cv::Rect inside(clamped_left(left), clamped_top(box.y), width, height);
  const cv::Rect inside_bottom(clamped_left(left), clamped_top(box.y + box.height - height), width, height);
  std::vector<cv::Rect> found;
  for (const int x : {left, right - width})
    if (above) found.emplace_back(clamped_left(x), top - height, width, height);
  const bool hides_little = int64_t{kLittle} * width * height <= int64_t{box.width} * box.height;
  if (hides_little) found.insert(found.end(), {inside, inside_bottom});
  for (const int x : {left, right - width})
    if (below) found.emplace_back(clamped_left(x), bottom + 1, width, height);
  for (const int y : {box.y, box.y + box.height - height}) {
    if (right + width < picture.width) found.emplace_back(right + 1, clamped_top(y), width, height);
    if (left >= width) found.emplace_back(left - width, clamped_top(y), width, height);
  }
  if (!hides_little) found.insert(found.end(), {inside, inside_bottom});
  return found;
}

// Of a turned box: at its highest corner, or at its lowest.
std::vector<cv::Rect> places_of_turned(Size picture, const RotatedBox<ImagePixels>& box, const Label& label,
                                       int line) {
  const auto corners = box.corners();
  const auto [highest, lowest] = std::ranges::minmax_element(corners, {}, &Point<ImagePixels>::y);
  std::vector<cv::Rect> found;
  for (const auto& [x, y] : {*highest, *lowest}) {
    const std::vector<cv::Rect> here = places(picture, pixel_box({x, y, x, y}, picture), label, line);
    found.insert(found.end(), here.begin(), here.end());
  }
  return found;
}

// The first place that is free, else the one that covers least of the tags already placed.
cv::Rect free_place(std::span<const cv::Rect> places, std::span<const cv::Rect> taken) {
  const cv::Rect* best = nullptr;
  int least = 0;
  for (const cv::Rect& place : places) {
    int covered = 0;
    for (const cv::Rect& other : taken) covered += (place & other).area();
    if (best == nullptr || covered < least) {
      best = &place;
      least = covered;
    }
    if (covered == 0) break;
  }
  return *best;
}

void draw_pixels(cv::Mat& canvas, int left, int top, const TextPixels& text) {
  for (int y = 0; y < text.above + text.below; ++y)
    for (int x = 0; x < text.width; ++x) {
      if (left + x < 0 || left + x >= canvas.cols || top + y < 0 || top + y >= canvas.rows) continue;
      const TextPixels::Pixel& pixel =
          text.pixels[static_cast<size_t>(y) * static_cast<size_t>(text.width) + static_cast<size_t>(x)];
      auto& place = canvas.at<cv::Vec3b>(top + y, left + x);
      for (int c = 0; c < 3; ++c)
        place[c] = static_cast<uint8_t>(
            (place[c] * (255 - pixel.cover) + pixel.bgr[static_cast<size_t>(c)] * pixel.cover + 127) / 255);
    }
}

void draw_label(cv::Mat& canvas, const cv::Rect& place, const Label& label, std::array<uint8_t, 3> colour) {
  cv::rectangle(canvas, place, scalar(colour), cv::FILLED);
  if (label.drawn) return draw_pixels(canvas, place.x + label.margin, place.y + label.margin, *label.drawn);
  cv::putText(canvas, label.text, {place.x + label.margin, place.y + label.margin + label.letters.height},
              kFont, label.scale, scalar(text_bgr(colour)), label.thickness, cv::LINE_AA);
}

}  // namespace

int line_width(Size picture) {
  const double side = (picture.width + picture.height) / 2.0;
  const int least = side < kSmallImage / 2 ? 1 : 2;
  return std::max(static_cast<int>(std::nearbyint(side * kLineShare)), least);
}

std::array<uint8_t, 3> class_colour(int class_id) {
  uint32_t rgb = kPalette[static_cast<size_t>(std::abs(class_id)) % std::size(kPalette)];
  return {static_cast<uint8_t>(rgb), static_cast<uint8_t>(rgb >> 8), static_cast<uint8_t>(rgb >> 16)};
}

void draw_detections(image::Image& image, std::span<const Detection> detections,
                     std::span<const std::string> names, const DetectionExtras& extras) {
  if (image.empty()) return;
  draw_masks(image, detections, extras);
  Size picture{image.width(), image.height()};
  cv::Mat canvas = canvas_of(image);
  int line = line_width(picture);
  // All boxes, then all labels: no line crosses a text. The most confident chooses its place first.
  draw_turned_boxes(image, detections, extras.rotated);
  for (size_t i = extras.rotated.empty() ? detections.size() : 0; i > 0; --i) {
    const Detection& detection = detections[i - 1];
    if (!is_finite(detection.box)) continue;
    cv::Rect box = pixel_box(detection.box, picture);
    cv::rectangle(canvas, box.tl(), box.br(), scalar(class_colour(detection.class_id)), line, cv::LINE_AA);
  }
  draw_keypoints(image, extras);
  std::vector<Label> labels;
  std::vector<cv::Rect> taken;
  std::vector<int> classes;
  for (size_t i = 0; i < detections.size(); ++i) {
    const Detection& detection = detections[i];
    if (!is_finite(detection.box) || (!extras.rotated.empty() && !is_finite(extras.rotated[i]))) continue;
    const std::string whole = printable(class_name(names, detection.class_id), kLongestName);
    std::string name = drawable_name(whole, detection.class_id);
    if (detection.track_id != 0) name = fmt::format("id:{} {}", detection.track_id, name);
    labels.push_back(fitting_label(name, detection, picture));
    const std::vector<cv::Rect> possible =
        extras.rotated.empty() ? places(picture, pixel_box(detection.box, picture), labels.back(), line)
                               : places_of_turned(picture, extras.rotated[i], labels.back(), line);
    taken.push_back(free_place(possible, taken));
    classes.push_back(detection.class_id);
  }
  for (size_t i = labels.size(); i-- > 0;) draw_label(canvas, taken[i], labels[i], class_colour(classes[i]));
}

void draw_regions(image::Image& image, std::span<const Box<ImagePixels>> regions) {
  constexpr int kHatching = 10, kLine = 2;  // pixels from line to line, and of a line
  constexpr uint8_t kGrey = 160;
  if (image.empty()) return;
  for (const Box<ImagePixels>& region : regions) {
    if (!is_finite(region)) continue;
    const cv::Rect box = pixel_box(region, {image.width(), image.height()});
    for (int y = box.y; y <= box.y + box.height; ++y)
      for (int x = box.x; x <= box.x + box.width; ++x) {
        const bool is_border = x == box.x || x == box.x + box.width || y == box.y || y == box.y + box.height;
        if (is_border || (x + y) % kHatching < kLine)
          std::fill_n(image.pixel(x, y), image.pixel_bytes(), kGrey);
      }
  }
}

}  // namespace marrow::detect
