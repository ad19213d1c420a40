// What chooses among a detector's decoded boxes, as plain operators. A is the number of anchors.
#include <algorithm>
#include <array>
#include <numeric>
#include <tuple>

#include "marrow/geometry/probiou.h"
#include "marrow/onnx/write/export_operations.h"

namespace marrow::onnx {
namespace {

using Ints = std::vector<int64_t>;

// Of each anchor, (1, 1, A); the class as an integer and as a float.
struct BestClass {
  std::string score, id, class_id;
};

BestClass best_class(GraphWriter& out, const std::string& decoded, int classes) {
  const std::string scores = out.slice(decoded, 1, 4, 4 + classes);
  const std::string id =
      out.node("ArgMax", {scores}, {attribute("axis", int64_t{1}), attribute("keepdims", int64_t{1})});
  return {out.node("ReduceMax", {scores}, {attribute("axes", Ints{1}), attribute("keepdims", int64_t{1})}),
          id, out.node("Cast", {id}, {attribute("to", kFloat)})};
}

// The scores, 0 where they do not exceed their class's threshold.
std::string eligible(GraphWriter& out, const BestClass& best, int classes, const ExportNms& nms) {
  const std::string least = nms.class_confidence.empty()
                                ? out.number(nms.confidence)
                                : out.node("Gather", {out.numbers({classes}, nms.class_confidence), best.id},
                                           {attribute("axis", int64_t{0})});
  return out.node("Mul", {best.score, out.node("Cast", {out.node("Greater", {best.score, least})},
                                               {attribute("to", kFloat)})});
}

std::string zeros(GraphWriter& out, int64_t rows, int64_t columns) {
  return out.numbers({1, rows, columns},
                     std::vector<float>(static_cast<size_t>(rows) * static_cast<size_t>(columns)));
}

// Behind the prediction of turned boxes: those that no better one of their class overlaps, even one that is
// overlapped itself, so that no loop is needed. Of K candidates, i is the better one, along axis 1, and j the
// other, along axis 2.
//
// The probabilistic IoU exceeds a threshold where the Bhattacharyya distance is below another one:
//   q / (4 D) + ln(D / (4 sqrt(D_i D_j))) / 2
// where D is the determinant of the sum of both covariances, q the square of the distance between the centres
// by that sum's adjugate. Both are sums of terms that are not negative, since float32 loses the difference of
// thin boxes: with variances A, B along the sides u, v, and d between the centres
//   q = A_i (v_i d)^2 + B_i (u_i d)^2 + A_j (v_j d)^2 + B_j (u_j d)^2
//   D = A_i B_i + A_j B_j + (A_i A_j + B_i B_j) sin^2 + (A_i B_j + B_i A_j) cos^2    of the angle between
//   them.
class TurnedOverlaps {
 public:
  // (1, 7, K), as export_turned_nms has its candidates.
  TurnedOverlaps(GraphWriter& out, const std::string& candidates) : out_(out), candidates_(candidates) {}

  // (1, K, K): 1 where candidate j goes because of i.
  std::string suppressing(double iou, int64_t count) {
    const double eps = 1e-7;
    const auto [variance_a, variance_b] = std::pair{variance(row(2)), variance(row(3))};
    const std::string cosine = out_.node("Cos", {row(6)}), sine = out_.node("Sin", {row(6)});
    const auto [a, b, c, s] = std::tuple{both(variance_a), both(variance_b), both(cosine), both(sine)};
    const Both x = both(row(0)), y = both(row(1));
    const std::string dx = sub(x.i, x.j), dy = sub(y.i, y.j);
    std::string q;
    for (const auto& [va, vb, vc, vs] : {std::array{a.i, b.i, c.i, s.i}, {a.j, b.j, c.j, s.j}}) {
      const std::string along = add(mul(dx, vc), mul(dy, vs)), across = sub(mul(dy, vc), mul(dx, vs));
      const std::string part = add(mul(va, square(across)), mul(vb, square(along)));
      q = q.empty() ? part : add(q, part);
    }
    const std::string turn_cosine = add(mul(c.i, c.j), mul(s.i, s.j)),
                      turn_sine = sub(mul(s.i, c.j), mul(c.i, s.j));
    const Both own = both(mul(variance_a, variance_b));
    const std::string mixed = add(mul(add(mul(a.i, a.j), mul(b.i, b.j)), square(turn_sine)),
                                  mul(add(mul(a.i, b.j), mul(b.i, a.j)), square(turn_cosine)));
    const std::string d = add(add(own.i, own.j), mixed);
    const Both root = both(out_.node("Sqrt", {mul(variance_a, variance_b)}));
    const std::string four = out_.number(4), tiny = out_.number(eps);
    const std::string ratio = add(div(d, add(mul(mul(root.i, root.j), four), tiny)), tiny);
    const std::string distance =
        add(div(div(q, add(d, tiny)), four), div(out_.node("Log", {ratio}), out_.number(2)));
    const std::string overlap =
        out_.node("Less", {out_.node("Max", {distance, tiny}), out_.number(distance_at_probiou(iou))});
    const Both class_id = both(row(5));
    const std::string same = out_.node("Equal", {class_id.i, class_id.j});
    std::vector<float> places(static_cast<size_t>(count));
    std::iota(places.begin(), places.end(), 0.0f);
    const std::string better =
        out_.node("Less", {out_.numbers({1, count, 1}, places), out_.numbers({1, 1, count}, places)});
    const std::string all = out_.node("And", {out_.node("And", {overlap, same}), better});
    return out_.node("Cast", {all}, {attribute("to", kFloat)});
  }

 private:
  // One number of all candidates, along either axis.
  struct Both {
    std::string i, j;
  };
  Both both(const std::string& line) {
    return {out_.node("Transpose", {line}, {attribute("perm", Ints{0, 2, 1})}), line};
  }
  std::string row(int64_t number) { return out_.slice(candidates_, 1, number, number + 1); }
  std::string mul(const std::string& x, const std::string& y) { return out_.node("Mul", {x, y}); }
  std::string add(const std::string& x, const std::string& y) { return out_.node("Add", {x, y}); }
  std::string sub(const std::string& x, const std::string& y) { return out_.node("Sub", {x, y}); }
  std::string div(const std::string& x, const std::string& y) { return out_.node("Div", {x, y}); }
  std::string square(const std::string& x) { return mul(x, x); }
  std::string variance(const std::string& side) { return div(square(side), out_.number(12)); }

  GraphWriter& out_;
  std::string candidates_;
};

}  // namespace

std::string export_choice(Exporting& e, const std::string& decoded, const Shape& shape) {
  GraphWriter& out = e.out;
  out.set_scope("choose");
  out.set_float_type(DType::kFloat32);
  const int64_t images = shape[0], classes = shape[1] - 4, anchors = shape[2];
  const int64_t wanted = std::min<int64_t>(e.options.max_detections, anchors);
  const auto top = [&](const std::string& x) {  // along the last axis: values and places
    const std::string values =
        out.node("TopK", {x, out.integers({wanted})}, {attribute("axis", int64_t{-1})});
    return std::pair{values, out.second_output(values)};
  };
  const auto spread = [&](const std::string& x, const Ints& to) {
    return out.node("Expand", {x, out.integers(to)});
  };
  const auto gather = [&](const std::string& x, const std::string& places) {
    return out.node("GatherElements", {x, places}, {attribute("axis", int64_t{2})});
  };

  const std::string scores = out.slice(decoded, 1, 4, 4 + classes);  // (N, classes, A)
  // Once over the classes, then over all that is left: (N, 1, K) and (N, classes, K).
  const std::string best =
      out.node("ReduceMax", {scores}, {attribute("axes", Ints{1}), attribute("keepdims", int64_t{1})});
  const std::string chosen = top(best).second;
  const std::string left = gather(scores, spread(chosen, {images, classes, wanted}));
  const std::string anchor_major =
      out.node("Reshape", {out.node("Transpose", {left}, {attribute("perm", Ints{0, 2, 1})}),
                           out.integers({0, 1, wanted * classes})});
  const auto [confidence, place] = top(anchor_major);  // (N, 1, K)
  const std::string class_id =
      out.node("Cast", {out.node("Mod", {place, out.integer(classes)})}, {attribute("to", kFloat)});
  const std::string anchor = gather(chosen, out.node("Div", {place, out.integer(classes)}));
  const std::string boxes = gather(out.slice(decoded, 1, 0, 4), spread(anchor, {images, 4, wanted}));
  return out.node("Transpose", {out.concat({boxes, confidence, class_id}, 1)},
                  {attribute("perm", Ints{0, 2, 1})});
}

std::string export_nms(Exporting& e, const std::string& decoded, const DetectDecode& decode,
                       const ExportNms& nms) {
  GraphWriter& out = e.out;
  const int classes = decode.classes;
  out.set_scope("nms");
  out.set_float_type(DType::kFloat32);
  const std::string centre = out.slice(decoded, 1, 0, 2);
  const std::string half_size = out.node("Div", {out.slice(decoded, 1, 2, 4), out.number(2)});
  const std::string corners = out.concat(
      {out.node("Sub", {centre, half_size}), out.node("Add", {centre, half_size})}, 1);  // (1, 4, A)

  const BestClass best = best_class(out, decoded, classes);

  // One class to the operator: boxes of different classes lie too far apart to meet.
  const std::string apart =
      out.node("Add", {corners, out.node("Mul", {best.class_id, out.number(nms.max_side)})});
  // The operator knows one threshold.
  const bool by_class = !nms.class_confidence.empty();
  const std::string score = by_class ? eligible(out, best, classes, nms) : best.score;
  const std::string kept = out.node(  // (M, 3): image, class, anchor
      "NonMaxSuppression", {out.node("Transpose", {apart}, {attribute("perm", Ints{0, 2, 1})}), score,
                            out.integers({nms.max_detections}), out.numbers({1}, {nms.iou}),
                            out.numbers({1}, {by_class ? 0 : nms.confidence})});
  const std::string anchor = out.node("Gather", {kept, out.integer(2)}, {attribute("axis", int64_t{1})});
  std::vector<std::string> parts = {corners, best.score, best.class_id};
  if (decode.extra_channels > 0) parts.push_back(out.slice(decoded, 1, 4 + classes, decode.rows()));
  const std::string columns = out.concat(parts, 1);  // (1, 6 + extra, A)
  const int numbers = 6 + decode.extra_channels;
  const std::string found =
      out.node("Transpose", {out.node("Gather", {columns, anchor}, {attribute("axis", int64_t{2})})},
               {attribute("perm", Ints{0, 2, 1})});
  const std::string padded =
      out.concat({found, out.numbers({1, nms.max_detections, numbers},
                                     std::vector<float>(static_cast<size_t>(numbers) *
                                                        static_cast<size_t>(nms.max_detections)))},
                 1);
  return out.slice(padded, 1, 0, nms.max_detections);
}

std::string export_turned_nms(Exporting& e, const std::string& decoded, const DetectDecode& decode,
                              int64_t anchors, const ExportNms& nms) {
  GraphWriter& out = e.out;
  const int classes = decode.classes;
  constexpr int64_t kNumbers = 7;  // cx cy w h, confidence, class, angle
  out.set_scope("nms");
  out.set_float_type(DType::kFloat32);
  const BestClass best = best_class(out, decoded, classes);
  std::string columns = out.concat({out.slice(decoded, 1, 0, 4), best.score, best.class_id,
                                    out.slice(decoded, 1, 4 + classes, decode.rows())},
                                   1);
  int64_t candidates = std::max(nms.most_compared, nms.max_detections);
  std::string scores = eligible(out, best, classes, nms);
  if (e.options.dynamic) {  // an image of any size has so many then
    columns = out.concat({columns, zeros(out, kNumbers, candidates)}, 2);
    scores = out.concat({scores, zeros(out, 1, candidates)}, 2);
  } else {
    candidates = std::min(candidates, anchors);
  }
  const auto best_of = [&](const std::string& numbers, const std::string& values, int64_t count) {
    const std::string top =
        out.node("TopK", {numbers, out.integers({count})}, {attribute("axis", int64_t{-1})});
    const std::string places = out.node("Reshape", {out.second_output(top), out.integers({-1})});
    return std::pair{top, out.node("Gather", {values, places}, {attribute("axis", int64_t{2})})};
  };
  const auto [by_score, chosen] = best_of(scores, columns, candidates);
  const std::string suppressing = TurnedOverlaps(out, chosen).suppressing(nms.iou, candidates);
  const std::string suppressed =
      out.node("ReduceMax", {suppressing}, {attribute("axes", Ints{1}), attribute("keepdims", int64_t{1})});
  const std::string left = out.node("Mul", {by_score, out.node("Sub", {out.number(1), suppressed})});
  const auto [confidence, found] = best_of(left, chosen, std::min<int64_t>(nms.max_detections, candidates));
  const std::string is_any =
      out.node("Cast", {out.node("Greater", {confidence, out.number(0)})}, {attribute("to", kFloat)});
  const std::string padded =
      out.concat({out.node("Mul", {found, is_any}), zeros(out, kNumbers, nms.max_detections)}, 2);
  return out.slice(out.node("Transpose", {padded}, {attribute("perm", Ints{0, 2, 1})}), 1, 0,
                   nms.max_detections);
}

}  // namespace marrow::onnx
