// Mosaic, perspective, colours and flips by their formulas, on inputs for which rounding leaves no choice:
// warps move by multiples of 1/32 pixel, and colours near a rounding border are not drawn.
#include <algorithm>
#include <array>
#include <optional>
#include <stdexcept>

#include "plain_box.h"
#include "record.h"

namespace marrow::golden {
namespace {

using Colour = std::array<int, 3>;

struct PlainImage {
  int h, w;
  std::vector<Colour> pixels;

  Colour& at(int y, int x) { return pixels[static_cast<size_t>(y * w + x)]; }
  const Colour& at(int y, int x) const { return pixels[static_cast<size_t>(y * w + x)]; }
};

PlainImage grey(int h, int w) {
  return {h, w, std::vector<Colour>(static_cast<size_t>(h * w), Colour{114, 114, 114})};
}

PlainImage random_image(int h, int w, const std::string& name) {
  PlainImage image = grey(h, w);
  Draws draws(name);
  for (Colour& colour : image.pixels)
    for (int& channel : colour) channel = draws.between(0, 255);
  return image;
}

Tensor tensor_of_image(const PlainImage& image) {
  std::vector<int> values;
  for (const Colour& colour : image.pixels) values.insert(values.end(), colour.begin(), colour.end());
  return tensor_of<uint8_t>({image.h, image.w, 3}, values);
}

Tensor tensor_of_boxes(const std::vector<Box>& boxes) {
  std::vector<double> values;
  for (const Box& box : boxes) values.insert(values.end(), box.begin(), box.end());
  return tensor_of<float>({static_cast<int64_t>(boxes.size()), 4}, values);
}

Tensor column(const std::vector<int>& values) {
  return tensor_of<float>({static_cast<int64_t>(values.size()), 1}, values);
}

// Tiles meet at the centre; what hangs over the canvas is cut off, boxes too.
void add_mosaic(json& cases, Weights& tensors, int side, int xc, int yc) {
  const std::string name = "m" + std::to_string(cases.size());
  Draws draws("augment/" + name);
  PlainImage canvas = grey(2 * side, 2 * side);
  std::vector<Box> boxes;
  std::vector<int> classes;
  for (int tile = 0; tile < 4; ++tile) {
    const int other = draws.between(side / 2, side);
    const PlainImage image =
        random_image(tile % 2 == 0 ? side : other, tile % 2 == 0 ? other : side, name + std::to_string(tile));
    const int left = tile % 2 == 0 ? xc - image.w : xc, top = tile < 2 ? yc - image.h : yc;
    for (int y = 0; y < image.h; ++y)
      for (int x = 0; x < image.w; ++x)
        if (y + top >= 0 && y + top < canvas.h && x + left >= 0 && x + left < canvas.w)
          canvas.at(y + top, x + left) = image.at(y, x);
    std::vector<Box> normalised;
    std::vector<int> of_tile;
    for (int i = draws.between(0, 3); i > 0; --i) {
      const Box box = {draws.between(8, 24) / 32.0, draws.between(8, 24) / 32.0, draws.between(2, 14) / 32.0,
                       draws.between(2, 14) / 32.0};
      normalised.push_back(box);
      of_tile.push_back(draws.between(0, 4));
      const auto inside = [&](double at) { return std::clamp(at, 0.0, 2.0 * side); };
      const Box moved = {
          inside((box[0] - box[2] / 2) * image.w + left), inside((box[1] - box[3] / 2) * image.h + top),
          inside((box[0] + box[2] / 2) * image.w + left), inside((box[1] + box[3] / 2) * image.h + top)};
      if (moved[2] <= moved[0] || moved[3] <= moved[1]) continue;
      boxes.push_back(moved);
      classes.push_back(of_tile.back());
    }
    const std::string number = std::to_string(tile);
    tensors.emplace(name + ".img" + number, tensor_of_image(image));
    tensors.emplace(name + ".xywhn" + number, tensor_of_boxes(normalised));
    tensors.emplace(name + ".cls" + number, column(of_tile));
  }
  tensors.emplace(name + ".mosaic", tensor_of_image(canvas));
  tensors.emplace(name + ".boxes_out", tensor_of_boxes(boxes));
  tensors.emplace(name + ".cls_out", column(classes));
  cases.push_back({{"name", name}, {"s", side}, {"xc", xc}, {"yc", yc}});
}

using Matrix = std::array<double, 9>;

// Bilinear at fractions of 1/32, grey outside, halves rounded up.
PlainImage warped(const PlainImage& from, const Matrix& m, int h, int w) {
  PlainImage out = grey(h, w);
  const double determinant = m[0] * m[4] - m[1] * m[3];
  for (int y = 0; y < h; ++y)
    for (int x = 0; x < w; ++x) {
      const double dx = x - m[2], dy = y - m[5];
      const double sx = (m[4] * dx - m[1] * dy) / determinant, sy = (m[0] * dy - m[3] * dx) / determinant;
      if (sx * 32 != std::floor(sx * 32) || sy * 32 != std::floor(sy * 32))
        throw std::logic_error("not at a 32nd of a pixel");
      for (size_t c = 0; c < 3; ++c) {
        double sum = 0;
        for (const int j : {0, 1})
          for (const int i : {0, 1}) {
            const int px = static_cast<int>(std::floor(sx)) + i, py = static_cast<int>(std::floor(sy)) + j;
            const double fx = sx - std::floor(sx), fy = sy - std::floor(sy);
            const bool inside = px >= 0 && py >= 0 && px < from.w && py < from.h;
            sum += (i == 1 ? fx : 1 - fx) * (j == 1 ? fy : 1 - fy) * (inside ? from.at(py, px)[c] : 114);
          }
        out.at(y, x)[c] = static_cast<int>(std::floor(sum + 0.5));
      }
    }
  return out;
}

struct Warp {
  double scale = 1;
  int quarter_turns = 0;
  double x = 0, y = 0;  // pixels, from the centre
  int border = 0;       // around the input
  bool divide = false;
};

void add_perspective(json& cases, Weights& tensors, const Warp& warp) {
  constexpr int kHeight = 24, kWidth = 32;
  constexpr double kLeastArea = 0.1;
  const std::string name = "p" + std::to_string(cases.size());
  const int h = kHeight + 2 * warp.border, w = kWidth + 2 * warp.border;
  const double cosine = std::array{1, 0, -1, 0}[static_cast<size_t>(warp.quarter_turns)],
               sine = std::array{0, 1, 0, -1}[static_cast<size_t>(warp.quarter_turns)];
  // The centre of the input to the origin, turned and scaled, then to the centre of the output and beyond.
  const double a = warp.scale * cosine, b = warp.scale * sine;
  const Matrix m = {a,  b, w / 2.0 + warp.x - a * kWidth / 2.0 - b * kHeight / 2.0,
                    -b, a, h / 2.0 + warp.y + b * kWidth / 2.0 - a * kHeight / 2.0,
                    0,  0, 1};
  const PlainImage image = random_image(kHeight, kWidth, "augment/" + name);
  Draws draws("augment/" + name + "/boxes");
  std::vector<Box> boxes, all, out;
  std::vector<int> classes, kept_classes;
  std::vector<bool> keep;
  for (int i = 0; i < 12; ++i) {
    const double x = draws.between(0, 4 * kWidth - 24) / 4.0, y = draws.between(0, 4 * kHeight - 24) / 4.0;
    const Box box = {x, y, std::min<double>(kWidth, x + draws.between(4, 60) / 4.0),
                     std::min<double>(kHeight, y + draws.between(4, 60) / 4.0)};
    Box moved = {1e9, 1e9, -1e9, -1e9};
    for (const auto& [px, py] :
         {std::pair{box[0], box[1]}, {box[2], box[3]}, {box[0], box[3]}, {box[2], box[1]}}) {
      const double qx = m[0] * px + m[1] * py + m[2], qy = m[3] * px + m[4] * py + m[5];
      moved = {std::min(moved[0], qx), std::min(moved[1], qy), std::max(moved[2], qx),
               std::max(moved[3], qy)};
    }
    for (size_t side = 0; side < 4; ++side)
      moved[side] = std::clamp(moved[side], 0.0, static_cast<double>(side % 2 == 0 ? w : h));
    const double wide = moved[2] - moved[0], high = moved[3] - moved[1];
    const double share = wide * high / ((box[2] - box[0]) * (box[3] - box[1]) * warp.scale * warp.scale);
    // Both sides above 2 pixels, more than a tenth of the area left, no side 100 times the other.
    const bool stays = wide > 2 && high > 2 && share > kLeastArea && wide / high < 100 && high / wide < 100;
    if (std::abs(wide - 2) < 1e-3 || std::abs(high - 2) < 1e-3 || std::abs(share - kLeastArea) < 1e-3)
      continue;
    boxes.push_back(box);
    classes.push_back(draws.between(0, 3));
    all.push_back(moved);
    keep.push_back(stays);
    if (stays) out.push_back(moved), kept_classes.push_back(classes.back());
  }
  const auto count = static_cast<int64_t>(boxes.size());
  tensors.emplace(name + ".img", tensor_of_image(image));
  tensors.emplace(name + ".boxes", tensor_of_boxes(boxes));
  tensors.emplace(name + ".cls", column(classes));
  Tensor matrix({3, 3}, DType::kFloat64);
  std::ranges::copy(m, matrix.values<double>().begin());
  tensors.emplace(name + ".M", matrix);
  tensors.emplace(name + ".warped_img", tensor_of_image(warped(image, m, h, w)));
  tensors.emplace(name + ".boxes_clipped_all", tensor_of_boxes(all));
  tensors.emplace(name + ".keep", bools({count}, keep));
  tensors.emplace(name + ".boxes_out", tensor_of_boxes(out));
  tensors.emplace(name + ".cls_out", column(kept_classes));
  cases.push_back({{"name", name},
                   {"params",
                    {{"degrees", warp.quarter_turns * 90.0},
                     {"shear", 0.0},
                     {"perspective", 0.0},
                     {"border", {warp.border, warp.border}}}},
                   {"input_hw", {kHeight, kWidth}},
                   {"output_hw", {h, w}},
                   {"scale_s", warp.scale},
                   {"use_perspective_divide", warp.divide},
                   {"area_thr", kLeastArea}});
}

// Whole numbers and what lies well off a border between two of them; nothing otherwise.
std::optional<int> rounded(double x) {
  if (std::abs(x - std::floor(x) - 0.5) < 0.1) return {};
  return static_cast<int>(std::floor(x + 0.5));
}

// Smith 1978, hue in half degrees, the others in 0..255.
std::optional<Colour> hsv_of(const Colour& bgr) {
  const auto [b, g, r] = bgr;
  const int v = std::max({b, g, r}), d = v - std::min({b, g, r});
  double h = 0;
  if (d > 0) h = v == r ? 30.0 * (g - b) / d : v == g ? 60 + 30.0 * (b - r) / d : 120 + 30.0 * (r - g) / d;
  const auto hue = rounded(h < 0 ? h + 180 : h), saturation = rounded(v == 0 ? 0 : 255.0 * d / v);
  if (!hue || !saturation || *hue == 180) return {};
  return Colour{*hue, *saturation, v};
}

// Implementations round here or cut off: only what gives one number both ways, in float32 too.
std::optional<int> either_way(double x) {
  const double fraction = x - std::floor(x);
  if (x != 0 && (fraction < 0.1 || fraction > 0.4)) return {};
  return static_cast<int>(std::floor(x));
}

std::optional<Colour> bgr_of(const Colour& hsv) {
  const auto [h, s, v] = hsv;
  // The largest channel is v itself; float32 must not make it a little less.
  const auto value = static_cast<float>(v);
  if (value / 255.f * 255.f < value || value * (1.f / 255.f) * 255.f < value) return {};
  const int sector = h / 30;
  const double f = h % 30 / 30.0, share = s / 255.0;
  const auto p = either_way(v * (1 - share)), q = either_way(v * (1 - share * f)),
             t = either_way(v * (1 - share + share * f));
  const auto colour = [](std::optional<int> b, std::optional<int> g,
                         std::optional<int> r) -> std::optional<Colour> {
    if (!b || !g || !r) return {};
    return Colour{*b, *g, *r};
  };
  switch (sector) {
    case 0:
      return colour(p, t, v);
    case 1:
      return colour(p, v, q);
    case 2:
      return colour(t, v, p);
    case 3:
      return colour(v, q, p);
    case 4:
      return colour(v, p, t);
    default:
      return colour(q, p, v);
  }
}

struct Gains {
  double h, s, v;
};

std::optional<int> cut(double x) {
  if (x >= 255) return 255;
  const double fraction = x - std::floor(x);
  if (x != 0 && (fraction < 0.01 || fraction > 0.99)) return {};
  return static_cast<int>(x);
}

std::optional<Colour> adjusted(const Colour& bgr, const Gains& gains) {
  const auto hsv = hsv_of(bgr);
  if (!hsv) return {};
  const auto [h, s, v] = *hsv;
  double turned = h + 180 * gains.h;
  turned -= 180 * std::floor(turned / 180);
  const auto hue = cut(turned), saturation = cut(s * (1 + gains.s)), value = cut(v * (1 + gains.v));
  if (!hue || !saturation || !value) return {};
  return bgr_of({*hue, *saturation, *value});
}

constexpr std::array<Gains, 2> kGains = {{{-0.0123, -0.0774, 0.2857}, {0.0095, 0.2271, -0.2533}}};
constexpr Gains kSettings = {0.015, 0.7, 0.4};

void record_colours(const fs::path& folder) {
  constexpr int kHeight = 8, kWidth = 37;  // wider than a vector, with a tail
  Draws draws("augment/colours");
  const auto draw = [&](const auto& usable) {
    for (;;) {
      const Colour colour = {draws.between(0, 255), draws.between(0, 255), draws.between(0, 255)};
      if (usable(colour)) return colour;
    }
  };
  PlainImage image = grey(kHeight, kWidth), hsv = image, hsv_in = image, bgr = image;
  std::array<PlainImage, kGains.size()> out = {image, image};
  for (size_t i = 0; i < image.pixels.size(); ++i) {
    image.pixels[i] = draw([](const Colour& colour) {
      return std::ranges::all_of(kGains,
                                 [&](const Gains& gains) { return adjusted(colour, gains).has_value(); });
    });
    hsv.pixels[i] = *hsv_of(image.pixels[i]);
    for (size_t k = 0; k < kGains.size(); ++k) out[k].pixels[i] = *adjusted(image.pixels[i], kGains[k]);
    hsv_in.pixels[i] = draw([](const Colour& colour) { return colour[0] < 180 && bgr_of(colour); });
    bgr.pixels[i] = *bgr_of(hsv_in.pixels[i]);
  }
  Weights tensors = {{"img_bgr", tensor_of_image(image)},
                     {"hsv_cv2", tensor_of_image(hsv)},
                     {"hsv_in", tensor_of_image(hsv_in)},
                     {"bgr_cv2", tensor_of_image(bgr)}};
  json cases = json::array();
  for (size_t k = 0; k < kGains.size(); ++k) {
    const std::string name = "hsv" + std::to_string(k);
    cases.push_back({{"name", name},
                     {"u", {kGains[k].h / kSettings.h, kGains[k].s / kSettings.s, kGains[k].v / kSettings.v}},
                     {"gains", {kSettings.h, kSettings.s, kSettings.v}}});
    tensors.emplace(name + ".out", tensor_of_image(out[k]));
  }

  PlainImage across = image, down = image;
  for (int y = 0; y < kHeight; ++y)
    for (int x = 0; x < kWidth; ++x) {
      across.at(y, kWidth - 1 - x) = image.at(y, x);
      down.at(kHeight - 1 - y, x) = image.at(y, x);
    }
  const std::vector<Box> boxes = {{0.25, 0.5, 0.375, 0.25}, {0.75, 0.625, 0.25, 0.5}};
  std::vector<Box> boxes_across = boxes, boxes_down = boxes;
  for (Box& box : boxes_across) box[0] = 1 - box[0];
  for (Box& box : boxes_down) box[1] = 1 - box[1];
  tensors.emplace("flip.xywhn_in", tensor_of_boxes(boxes));
  tensors.emplace("flip_horizontal.img", tensor_of_image(across));
  tensors.emplace("flip_horizontal.xywhn", tensor_of_boxes(boxes_across));
  tensors.emplace("flip_vertical.img", tensor_of_image(down));
  tensors.emplace("flip_vertical.xywhn", tensor_of_boxes(boxes_down));
  write_json(folder / "hsv_flip.json", cases);
  write_tensors(folder / "hsv_flip.safetensors", tensors);
}

}  // namespace

void record_augment(const fs::path& root) {
  const fs::path folder = root / "yolov8" / "augment";
  json mosaics = json::array(), perspectives = json::array();
  Weights tensors;
  for (const auto& [xc, yc] : {std::pair{17, 45}, {47, 16}}) add_mosaic(mosaics, tensors, 32, xc, yc);
  write_json(folder / "mosaic.json", mosaics);
  write_tensors(folder / "mosaic.safetensors", tensors);
  tensors.clear();
  for (const Warp& warp : {Warp{}, Warp{.x = 3.40625, .y = -5.71875}, Warp{.scale = 2, .x = 9, .y = 4.5},
                           Warp{.scale = 0.5, .border = 4}, Warp{.quarter_turns = 1, .x = 2.5},
                           Warp{.scale = 2, .quarter_turns = 3, .y = -6, .border = -4},
                           Warp{.scale = 1, .quarter_turns = 2, .x = 10.03125, .divide = true}})
    add_perspective(perspectives, tensors, warp);
  write_json(folder / "perspective.json", perspectives);
  write_tensors(folder / "perspective.safetensors", tensors);
  record_colours(folder);
}

}  // namespace marrow::golden
