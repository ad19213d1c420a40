#include "marrow/geometry/probiou.h"

#include <algorithm>
#include <cmath>

namespace marrow {
namespace {

constexpr double kEps = 1e-7;
constexpr double kFarthest = 100;  // of distances

// The Bhattacharyya distance of two Gaussians in its parts.
struct Parts {
  Parts(const GaussianBox& p, const GaussianBox& q)
      : a(p.a + q.a),
        b(p.b + q.b),
        c(p.c + q.c),
        x(p.x - q.x),
        y(p.y - q.y),
        determinant(a * b - c * c + kEps),
        apart((a * y * y + b * x * x) / determinant / 4 - c * x * y / determinant / 2) {}

  double log_term(double root) const { return std::log((determinant - kEps) / (4 * root + kEps) + kEps) / 2; }

  double a, b, c;  // sums
  double x, y;
  double determinant;  // of the sums, and eps
  double apart;        // what the centres' distance adds
};

double root_of(const GaussianBox& p, const GaussianBox& q) {
  return std::sqrt(p.determinant * q.determinant);
}

}  // namespace

double probiou_at_distance(double distance) {
  return 1 - std::sqrt(1 - std::exp(-std::clamp(distance, kEps, kFarthest)) + kEps);
}

double distance_at_probiou(double iou) {
  return -std::log(1 + kEps - (1 - iou) * (1 - iou));
}

GaussianBox::GaussianBox(double cx, double cy, double width, double height, double angle, double floor)
    : x(cx), y(cy) {
  const double along = width * width / 12 + floor, across = height * height / 12 + floor;
  const double cosine = std::cos(angle), sine = std::sin(angle);
  a = along * cosine * cosine + across * sine * sine;
  b = along * sine * sine + across * cosine * cosine;
  c = (along - across) * cosine * sine;
  determinant = std::max(a * b - c * c, 0.0);
}

double probiou(const GaussianBox& p, const GaussianBox& q) {
  const Parts parts(p, q);
  return probiou_at_distance(parts.apart + parts.log_term(root_of(p, q)));
}

bool probiou_exceeds(const GaussianBox& p, const GaussianBox& q, double threshold) {
  const Parts parts(p, q);
  const double root = root_of(p, q);
  // Of boxes that are not tiny the logarithm is at least 0 but for eps, and the centres alone may decide.
  if (root > 1 && probiou_at_distance(parts.apart - 2 * kEps) <= threshold) return false;
  return probiou_at_distance(parts.apart + parts.log_term(root)) > threshold;
}

ProbiouAndGradient probiou_gradient(const RotatedBox<void, double>& p, const RotatedBox<void, double>& q,
                                    double floor) {
  const GaussianBox first(p, floor), second(q, floor);
  const Parts parts(first, second);
  const double root = root_of(first, second);
  const double distance = parts.apart + parts.log_term(root);
  ProbiouAndGradient result{.iou = probiou_at_distance(distance)};
  if (distance < kEps || distance > kFarthest) return result;
  const double e = std::exp(-distance);
  const double of_distance = -e / (2 * std::sqrt(1 - e + kEps));

  // Towards the centre and the covariance of the first.
  const auto& [a, b, c, x, y, determinant, apart] = parts;
  const double of_x = (b * x - c * y) / (2 * determinant);
  const double of_y = (a * y - c * x) / (2 * determinant);
  const double ratio = (determinant - kEps) / (4 * root + kEps) + kEps;
  const double of_sum = -apart / determinant + 1 / (2 * ratio * (4 * root + kEps));  // the sums' determinant
  const double of_root = -(determinant - kEps) * 4 / ((4 * root + kEps) * (4 * root + kEps)) / (2 * ratio);
  const double of_own = root > 0 ? of_root * second.determinant / (2 * root) : 0;  // the first's determinant
  const double of_a = y * y / (4 * determinant) + of_sum * b + of_own * first.b;
  const double of_b = x * x / (4 * determinant) + of_sum * a + of_own * first.a;
  const double of_c = -x * y / (2 * determinant) - 2 * of_sum * c - 2 * of_own * first.c;

  const double cosine = std::cos(p.angle), sine = std::sin(p.angle);
  const double along = p.width * p.width / 12 + floor, across = p.height * p.height / 12 + floor;
  const double of_along = of_a * cosine * cosine + of_b * sine * sine + of_c * cosine * sine;
  const double of_across = of_a * sine * sine + of_b * cosine * cosine - of_c * cosine * sine;
  const double turn = along - across;
  const double of_angle = turn * (2 * cosine * sine * (of_b - of_a) + of_c * (cosine * cosine - sine * sine));
  result.gradient = {of_x, of_y, of_along * p.width / 6, of_across * p.height / 6, of_angle};
  for (double& slope : result.gradient) slope *= of_distance;
  return result;
}

}  // namespace marrow
