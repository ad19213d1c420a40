#include "marrow/predict/join_tiles.h"

#include <algorithm>
#include <functional>
#include <numeric>

#include "marrow/base/error.h"
#include "marrow/detect/rotated_nms.h"

namespace marrow::predict {
namespace {

using PictureBox = Box<ImagePixels>;

// Which sides of a box lie on a border of its tile that is none of the picture.
struct Cuts {
  bool left = false, top = false, right = false, bottom = false;
  bool any() const { return left || top || right || bottom; }
};

// A box and what became of it.
struct Piece {
  detect::Detection detection;
  size_t tile;
  Cuts cuts;
  std::vector<size_t> parts;  // that it is made of, of what was found
};

Cuts cuts_of(const PictureBox& box, const Tile& tile, Size picture) {
  constexpr float kNear = 2;  // pixels: boxes rarely end exactly at a border
  const auto right = static_cast<float>(tile.x + tile.size.width),
             bottom = static_cast<float>(tile.y + tile.size.height);
  return {.left = tile.x > 0 && box.x1<static_cast<float>(tile.x) + kNear, .top = tile.y> 0 &&
                  box.y1 < static_cast<float>(tile.y) + kNear,
          .right = right < static_cast<float>(picture.width) && box.x2 > right - kNear,
          .bottom = bottom < static_cast<float>(picture.height) && box.y2 > bottom - kNear};
}

float common(float low1, float high1, float low2, float high2) {
  return std::max(std::min(high1, high2) - std::max(low1, low2), 0.f);
}

// Shared length over the length of both together.
float agreement(float low1, float high1, float low2, float high2) {
  const float together = std::max(high1, high2) - std::min(low1, low2);
  return together > 0 ? common(low1, high1, low2, high2) / together : 0;
}

bool are_halves(const Piece& a, const Piece& b) {
  constexpr float kAlong = 0.5f;
  const PictureBox &p = a.detection.box, &q = b.detection.box;
  const bool touch = p.x1 <= q.x2 && q.x1 <= p.x2 && p.y1 <= q.y2 && q.y1 <= p.y2;
  if (!touch) return false;
  const bool beside = (a.cuts.right && b.cuts.left) || (a.cuts.left && b.cuts.right);
  const bool above = (a.cuts.bottom && b.cuts.top) || (a.cuts.top && b.cuts.bottom);
  return (beside && agreement(p.y1, p.y2, q.y1, q.y2) > kAlong) ||
         (above && agreement(p.x1, p.x2, q.x1, q.x2) > kAlong);
}

bool are_one_object(const Piece& a, const Piece& b, float iou) {
  const PictureBox &p = a.detection.box, &q = b.detection.box;
  const float shared = common(p.x1, p.x2, q.x1, q.x2) * common(p.y1, p.y2, q.y1, q.y2);
  if (shared > 0 && shared > iou * (p.area() + q.area() - shared)) return true;
  const Piece& smaller = p.area() < q.area() ? a : b;
  if (smaller.cuts.any() && shared > kFragmentShare * smaller.detection.box.area()) return true;
  return are_halves(a, b);
}

// `kept` takes in what a less confident piece adds.
void join(Piece& kept, const Piece& piece) {
  if (!kept.cuts.any() && !piece.cuts.any()) return;
  PictureBox& box = kept.detection.box;
  const PictureBox& other = piece.detection.box;
  kept.parts.insert(kept.parts.end(), piece.parts.begin(), piece.parts.end());
  // A side that is taken from the other piece is cut where that is.
  const auto widen = [](float& side, bool& cut, float reach, bool reach_cut, bool beyond) {
    if (!beyond) return;
    side = reach;
    cut = reach_cut;
  };
  widen(box.x1, kept.cuts.left, other.x1, piece.cuts.left, other.x1 < box.x1);
  widen(box.y1, kept.cuts.top, other.y1, piece.cuts.top, other.y1 < box.y1);
  widen(box.x2, kept.cuts.right, other.x2, piece.cuts.right, other.x2 > box.x2);
  widen(box.y2, kept.cuts.bottom, other.y2, piece.cuts.bottom, other.y2 > box.y2);
}

// As join_tiles() has them, at most options.max_detections.
std::vector<Piece> joined(const std::vector<TileDetection>& detections, const std::vector<Tile>& tiles,
                          Size picture, const detect::NmsOptions& options) {
  std::vector<size_t> order(detections.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::stable_sort(order, std::greater<>(),
                           [&](size_t i) { return detections[i].detection.confidence; });
  std::vector<Piece> kept;
  for (const size_t i : order) {
    const TileDetection& one = detections[i];
    const Piece piece{one.detection, one.tile, cuts_of(one.detection.box, tiles.at(one.tile), picture), {i}};
    const auto same = std::ranges::find_if(kept, [&](const Piece& other) {
      return other.tile != piece.tile &&
             (options.agnostic || other.detection.class_id == piece.detection.class_id) &&
             are_one_object(other, piece, options.iou);
    });
    if (same == kept.end())
      kept.push_back(piece);
    else
      join(*same, piece);
  }
  kept.resize(std::min(kept.size(), static_cast<size_t>(std::max(options.max_detections, 0))));
  return kept;
}

ImageFindings join_turned(const std::vector<ImageFindings>& found, const std::vector<Tile>& tiles,
                          const detect::NmsOptions& options) {
  std::vector<detect::Detection> detections;
  std::vector<detect::ScoredRotatedBox> boxes;
  for (size_t t = 0; t < found.size(); ++t)
    for (size_t i = 0; i < found[t].detections.size(); ++i) {
      RotatedBox<ImagePixels> box = found[t].extras.rotated[i];
      box.cx += static_cast<float>(tiles[t].x);
      box.cy += static_cast<float>(tiles[t].y);
      detections.push_back(detect::with_box(found[t].detections[i], box.bounds()));
      boxes.push_back({box, detections.back().confidence, detections.back().class_id});
    }
  const double iou = std::min<double>(options.iou, detect::kTurnedOverlap);
  ImageFindings result;
  for (const size_t i : detect::best_of_tiles(boxes, iou, options.agnostic)) {
    if (std::ssize(result.detections) >= options.max_detections) break;
    result.detections.push_back(detections[i]);
    result.extras.rotated.push_back(boxes[i].box);
  }
  return result;
}

}  // namespace

void require_joinable(const DetectDecode& decode, const TileOptions& tiles) {
  if (numbers_of_point(decode.extra) > 1 && tiles.side > 0)
    throw Error(ErrorKind::kUnsupported, "tiles are not for keypoints: those of two tiles are not joined");
}

TileDetection moved_from_tile(const detect::Detection& found, const Tile& tile, size_t number) {
  const auto right = static_cast<float>(tile.x), down = static_cast<float>(tile.y);
  const auto [x1, y1, x2, y2] = found.box;
  return {detect::with_box(found, Box<ImagePixels>{x1 + right, y1 + down, x2 + right, y2 + down}), number};
}

std::vector<detect::Detection> join_tiles(const std::vector<TileDetection>& detections,
                                          const std::vector<Tile>& tiles, Size picture,
                                          const detect::NmsOptions& options) {
  std::vector<detect::Detection> result;
  for (const Piece& piece : joined(detections, tiles, picture, options)) result.push_back(piece.detection);
  return result;
}

ImageFindings join_findings(std::vector<ImageFindings> found, const std::vector<Tile>& tiles, Size picture,
                            DetectExtra extra, const detect::NmsOptions& options) {
  if (extra == DetectExtra::kAngle) return join_turned(found, tiles, options);
  std::vector<TileDetection> detections;
  std::vector<MaskPart> masks;
  for (size_t t = 0; t < found.size(); ++t) {
    for (const detect::Detection& one : found[t].detections)
      detections.push_back(moved_from_tile(one, tiles[t], t));
    for (MaskPart& mask : found[t].extras.masks) {
      masks.push_back(std::move(mask));
      masks.back().x += tiles[t].x;
      masks.back().y += tiles[t].y;
    }
  }
  ImageFindings result;
  for (const Piece& piece : joined(detections, tiles, picture, options)) {
    result.detections.push_back(piece.detection);
    if (masks.empty()) continue;
    MaskPart& mask = result.extras.masks.emplace_back();
    for (const size_t part : piece.parts) mask = united(mask, masks[part]);
  }
  result.extras.mask_size = picture;
  return result;
}

}  // namespace marrow::predict
