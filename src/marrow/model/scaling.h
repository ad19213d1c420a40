// Compound scaling: the depth and width of a backbone and the size of its input grow together. Source:
// EfficientNet, Tan and Le 2019, section 3.3: depth alpha^phi, width beta^phi and resolution gamma^phi with
// alpha * beta^2 * gamma^2 near 2, so that cost grows by about 2^phi. Works for every family that has factors
// of width and depth among its settings.
// Plain functions: any thread.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "marrow/graph/graph.h"
#include "marrow/model/spec.h"
#include "marrow/nn/backbones/backbone.h"

namespace marrow::model {

// Factors on the three dimensions; of phi = 1 they are the paper's alpha, beta and gamma.
struct Growth {
  double depth = 1;
  double width = 1;
  double resolution = 1;

  // depth * width^2 * resolution^2: what convolutions would cost if nothing were rounded.
  double cost() const;
  // How far the three shares of the cost, log depth, log width^2 and log resolution^2, are from each other: 0
  // when equal.
  double unevenness() const;
  Growth power(double phi) const;
};

// The names of the settings that a family scales by.
struct ScalingSettings {
  std::string width;  // "width" or "scale"
  std::string depth;  // "depth"
};

// Finds them among the family's defaults: numbers, and 1 by default. Throws Error{kModel} saying what is
// missing.
ScalingSettings scaling_settings(const nn::BackboneFamily& family);

// What grows.
struct ScalingBase {
  nn::BackboneChoice backbone;
  nn::BackboneConfig settings =
      nn::BackboneConfig::object();  // beside the backbone's name; already in its config
  int image_size = 640;              // pixels, the side of a square
  int size_multiple = 32;            // input sizes are rounded to the nearest multiple
  bool classifier = false;           // the published one; otherwise the body in a detector
};

struct ScaledBackbone {
  nn::BackboneChoice backbone;
  nn::BackboneConfig settings = nn::BackboneConfig::object();  // beside the backbone's name, for a YAML
  int image_size = 0;
};

// The nearest multiple of base.size_multiple, not below one.
int scaled_image_size(const ScalingBase& base, double size);

// Factors on the base's own settings, to four digits after the point; widths and repeats are rounded by the
// family. A classifier whose family has a setting "resolution" gets `image_size` there. Throws as
// scaling_settings.
ScaledBackbone scale_backbone(const ScalingBase& base, double depth, double width, int image_size);
ScaledBackbone scale_backbone(const ScalingBase& base, const Growth& growth);

// What is counted and timed when growths are compared: the classifier, 1000 classes, or the body alone. A
// detector's neck and head grow with the input only, and would make that look like the best growth.
Graph scaled_graph(const ScaledBackbone& scaled, bool classifier);

// A YAML of `model` ("yolov8n") with the backbone as one line, in its one scale; of the classifier alone
// where `model` is empty.
ModelSpec scaled_spec(const ScaledBackbone& scaled, std::string_view model);

// Alpha, beta and gamma from 1 in steps of 0.05 whose cost() is at most 0.1 from 2.
std::vector<Growth> growth_candidates();

struct MeasuredGrowth {
  Growth growth;
  double cost = 1;  // at phi = 1, of the base's
};

// The best first. Without training nothing tells accuracy, so the best is the one whose measured cost is
// nearest to 2; those that are at most `tie` further from it count as equal, and the most even of them leads.
std::vector<MeasuredGrowth> rank_growths(std::span<const MeasuredGrowth> measured, double tie);

}  // namespace marrow::model
