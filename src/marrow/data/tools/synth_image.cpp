// One image of the drawn dataset.
#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <span>
#include <vector>

#include "marrow/base/random.h"
#include "marrow/data/tools/synth.h"
#include "marrow/data/tools/synth_object.h"
#include "marrow/outline/raster.h"

namespace marrow::data {
namespace {

using Colour = std::array<double, 3>;  // 0..255

constexpr double kSmallest = 0.08, kLargest = 0.2;  // radius, as a share of the image's longer side
constexpr double kLeastInside = 0.7;                // of the radius, between centre and edge of the image
constexpr double kLeastContrast = 60;               // between a shape and the ground, in levels

Colour random_colour(Random& random) {
  return {random.uniform(0, 255), random.uniform(0, 255), random.uniform(0, 255)};
}

double distance(const Colour& a, const Colour& b) {
  double most = 0;
  for (size_t c = 0; c < 3; ++c) most = std::max(most, std::abs(a[c] - b[c]));
  return most;
}

// Smooth noise in [-1, 1]: values on a lattice, blended.
class Texture {
 public:
  Texture(uint64_t key, double cell) : key_(key), cell_(cell) {}

  double at(double x, double y) const {
    x /= cell_;
    y /= cell_;
    const double left = std::floor(x), top = std::floor(y);
    const double u = smooth(x - left), v = smooth(y - top);
    const auto value = [&](int dx, int dy) {
      const auto ix = static_cast<uint64_t>(static_cast<int64_t>(left) + dx);
      const auto iy = static_cast<uint64_t>(static_cast<int64_t>(top) + dy);
      return static_cast<double>(mix_bits(key_ ^ mix_bits(ix * 0x9e3779b9u + iy)) >> 11) * 0x1.0p-52 - 1;
    };
    const double upper = value(0, 0) + (value(1, 0) - value(0, 0)) * u;
    const double lower = value(0, 1) + (value(1, 1) - value(0, 1)) * u;
    return upper + (lower - upper) * v;
  }

 private:
  static double smooth(double t) { return t * t * (3 - 2 * t); }

  uint64_t key_;
  double cell_;
};

// A ground of two colours that flow into each other, with coarse and fine texture.
struct Ground {
  Colour first, second;
  double angle;
  Texture coarse, fine;
  double coarse_levels, fine_levels;

  Ground(Random& random, int size)
      : first(random_colour(random)),
        second(random_colour(random)),
        angle(random.uniform(0, 2 * std::numbers::pi)),
        coarse(random.bits(), random.uniform(0.08, 0.3) * size),
        fine(random.bits(), random.uniform(2, 8)),
        coarse_levels(random.uniform(10, 35)),
        fine_levels(random.uniform(0, 14)) {
    for (size_t c = 0; c < 3; ++c) second[c] = first[c] + (second[c] - first[c]) * 0.35;
  }

  Colour at(double x, double y, double size) const {
    const double along = std::clamp(0.5 + (x * std::cos(angle) + y * std::sin(angle)) / (2 * size), 0.0, 1.0);
    const double texture = coarse.at(x, y) * coarse_levels + fine.at(x, y) * fine_levels;
    Colour colour;
    for (size_t c = 0; c < 3; ++c) colour[c] = first[c] + (second[c] - first[c]) * along + texture;
    return colour;
  }
};

struct Object {
  int class_id;
  SynthPose pose;
  Colour colour, edge;
  double edge_width;  // pixels; 0: none
  double shade;       // levels from one end to the other
};

Object random_object(Random& random, const SynthOptions& options, const std::vector<SynthShape>& shapes,
                     const Colour& ground) {
  Object object{};
  object.class_id = static_cast<int>(random.below(shapes.size()));
  SynthPose& pose = object.pose;
  pose.shape = shapes[static_cast<size_t>(object.class_id)];
  // Equal shares for every octave of size.
  pose.radius = options.image_size * kSmallest * std::pow(kLargest / kSmallest, random.uniform());
  pose.angle = random.uniform(0, 2 * std::numbers::pi);
  pose.stretch = random.uniform(0.75, 1);
  // Which end is up can be seen only of what nearly stands upright, which side is long only where it is.
  constexpr double kLeaning = 2.0 / 9, kLeastLong = 0.35, kSpread = 1.6;
  if (options.task == Task::kPose) pose.angle = (pose.angle - std::numbers::pi) * kLeaning;
  if (options.task == Task::kObb) pose.stretch = kLeastLong + (pose.stretch - 0.75) * kSpread;
  do object.colour = random_colour(random);
  while (distance(object.colour, ground) < kLeastContrast);
  object.edge_width = random.uniform() < 0.3 ? random.uniform(1, 2.5) : 0;
  object.edge = random_colour(random);
  object.shade = random.uniform(-40, 40);
  return object;
}

// Somewhere in the image; of a few tries the first that hides little of the others, so that most objects
// can be told apart and some overlap.
void place(Random& random, std::span<const Object> others, SynthPose& pose, int width, int height) {
  constexpr int kTries = 8;
  for (int i = 0; i < kTries; ++i) {
    const double margin = kLeastInside * pose.radius;
    pose.x = random.uniform(margin, width - margin);
    pose.y = random.uniform(margin, height - margin);
    const bool is_free = std::ranges::all_of(others, [&](const Object& other) {
      return std::hypot(pose.x - other.pose.x, pose.y - other.pose.y) >
             0.8 * (pose.radius + other.pose.radius);
    });
    if (is_free) return;
  }
}

// What is to be seen of an object: counted while painting.
struct Visibility {
  double whole = 0, seen = 0;  // pixels, also outside the image
  int left = 1 << 30, top = 1 << 30, right = -1, bottom = -1;
};

class Painter {
 public:
  Painter(int width, int height)
      : width_(width), height_(height), owner_(static_cast<size_t>(width) * height, -1) {}

  void ground(const Ground& ground, int size) {
    pixels_.reserve(owner_.size());
    for (int y = 0; y < height_; ++y)
      for (int x = 0; x < width_; ++x) pixels_.push_back(ground.at(x, y, size));
  }

  // Painted in order: later objects hide earlier ones.
  void paint(const Object& object, int number) {
    visible_.emplace_back();
    Visibility& visible = visible_.back();
    const SynthPose& pose = object.pose;
    const double reach = pose.radius * 1.5 + 2;  // a square's corner is at 1.13
    for (int y = static_cast<int>(std::floor(pose.y - reach)); y <= pose.y + reach; ++y)
      for (int x = static_cast<int>(std::floor(pose.x - reach)); x <= pose.x + reach; ++x) {
        const double signed_distance = pose.distance(x + 0.5, y + 0.5);
        const double cover = std::clamp(0.5 - signed_distance, 0.0, 1.0);
        if (cover <= 0) continue;
        visible.whole += cover;
        if (x < 0 || y < 0 || x >= width_ || y >= height_) continue;
        if (cover >= 0.5) {
          visible.left = std::min(visible.left, x);
          visible.right = std::max(visible.right, x);
          visible.top = std::min(visible.top, y);
          visible.bottom = std::max(visible.bottom, y);
          owner_[index(x, y)] = number;
        }
        blend(object, x, y, signed_distance, cover);
      }
  }

  // Sets the labels, by the task.
  void label(const std::vector<Object>& objects, Task task, SynthImage& picture) {
    for (const int owner : owner_)
      if (owner >= 0) visible_[static_cast<size_t>(owner)].seen += 1;
    for (size_t i = 0; i < objects.size(); ++i) {
      const Visibility& visible = visible_[i];
      if (visible.right < 0 || visible.seen < kSynthVisible * visible.whole) continue;
      picture.labels.push_back({objects[i].class_id, (visible.left + visible.right + 1) / 2.0 / width_,
                                (visible.top + visible.bottom + 1) / 2.0 / height_,
                                static_cast<double>(visible.right + 1 - visible.left) / width_,
                                static_cast<double>(visible.bottom + 1 - visible.top) / height_});
      if (task == Task::kSegment) add_outline(static_cast<int>(i), picture);
      if (task == Task::kObb) {
        picture.polygons.emplace_back();
        for (const auto& [x, y] : corners_of(objects[i].pose))
          picture.polygons.back().push_back({x / width_, y / height_});
      }
      if (task == Task::kPose) add_keypoints(objects[i].pose, static_cast<int>(i), picture);
    }
  }

  // Noise of the sensor, then bytes.
  image::Image image(Random& random, double noise) const {
    image::Image image(width_, height_);
    for (int y = 0; y < height_; ++y)
      for (int x = 0; x < width_; ++x)
        for (size_t c = 0; c < 3; ++c) {
          // The sum of two even draws: near enough to a bell, and quick.
          const double level =
              pixels_[index(x, y)][c] + noise * (random.uniform(-1, 1) + random.uniform(-1, 1));
          image.row(y)[static_cast<size_t>(x) * 3 + c] =
              static_cast<uint8_t>(std::clamp(std::lround(level), 0L, 255L));
        }
    return image;
  }

 private:
  size_t index(int x, int y) const {
    return static_cast<size_t>(y) * static_cast<size_t>(width_) + static_cast<size_t>(x);
  }

  // Around the pixels that are seen of an object, through their middles: filled again they are the same.
  void add_outline(int number, SynthImage& picture) const {
    Mask mask({width_, height_});
    for (size_t i = 0; i < owner_.size(); ++i) mask.pixels[i] = owner_[i] == number;
    Polygon& polygon = picture.polygons.emplace_back();
    PartStarts& starts = picture.parts.emplace_back();
    for (const std::vector<Point<ImagePixels>>& part : outline::rings_of(mask)) {
      if (!polygon.empty()) starts.push_back(static_cast<uint32_t>(polygon.size()));
      for (const auto& [x, y] : part) polygon.push_back({(x + 0.5) / width_, (y + 0.5) / height_});
    }
  }

  // Hidden behind what was painted later, not labelled outside the image.
  void add_keypoints(const SynthPose& pose, int number, SynthImage& picture) const {
    for (const auto& [x, y] : keypoints_of(pose)) {
      LabelKeypoint point;
      if (x >= 0 && y >= 0 && x < width_ && y < height_) {
        const int owner = owner_[index(static_cast<int>(x), static_cast<int>(y))];
        point = {x / width_, y / height_, owner > number ? 1.0 : 2.0};
      }
      picture.keypoints.push_back(point);
    }
  }

  void blend(const Object& object, int x, int y, double signed_distance, double cover) {
    const SynthPose& pose = object.pose;
    const double along =
        ((x - pose.x) * std::cos(pose.angle) + (y - pose.y) * std::sin(pose.angle)) / pose.radius;
    const double border =
        object.edge_width > 0 ? std::clamp(0.5 + signed_distance + object.edge_width, 0.0, 1.0) : 0.0;
    Colour& pixel = pixels_[index(x, y)];
    for (size_t c = 0; c < 3; ++c) {
      const double fill = object.colour[c] + object.shade * along / 2;
      pixel[c] += (fill + (object.edge[c] - fill) * border - pixel[c]) * cover;
    }
  }

  int width_, height_;
  std::vector<int> owner_;  // the object on top of each pixel
  std::vector<Colour> pixels_;
  std::vector<Visibility> visible_;
};

std::vector<SynthShape> shapes_of(const std::vector<std::string>& classes) {
  std::vector<SynthShape> shapes;
  for (const std::string& name : classes)
    for (int i = 0; i < kSynthShapes; ++i)
      if (synth_shape_name(static_cast<SynthShape>(i)) == name) shapes.push_back(static_cast<SynthShape>(i));
  return shapes;
}

}  // namespace

SynthImage draw_synth_image(const SynthOptions& options, int64_t index) {
  Random random(mix_bits(options.seed) + static_cast<uint64_t>(index), "synth");
  constexpr std::array<double, 3> kShorterSide = {1, 0.75, 0.75};
  const size_t kind = random.below(kShorterSide.size());
  const int shorter = std::max(static_cast<int>(options.image_size * kShorterSide[kind]), kMinImageSide);
  const int width = kind == 2 ? shorter : options.image_size,
            height = kind == 1 ? shorter : options.image_size;
  const std::vector<SynthShape> shapes = shapes_of(options.classes);

  const Ground ground(random, options.image_size);
  std::vector<Object> objects(1 + random.below(static_cast<uint64_t>(options.objects)));
  for (size_t i = 0; i < objects.size(); ++i) {
    objects[i] = random_object(random, options, shapes, ground.first);
    place(random, std::span(objects).first(i), objects[i].pose, width, height);
  }

  Painter painter(width, height);
  painter.ground(ground, options.image_size);
  for (size_t i = 0; i < objects.size(); ++i) painter.paint(objects[i], static_cast<int>(i));
  SynthImage picture;
  painter.label(objects, options.task, picture);
  picture.image = painter.image(random, random.uniform(1, 10));
  return picture;
}

}  // namespace marrow::data
