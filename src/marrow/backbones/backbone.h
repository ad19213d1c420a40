// What a backbone family tells the rest of Marrow. It does so in one source file, by a static
// BackboneRegistration; training, deployment, export, benchmarks, import, the command line and the YAML
// reader find it here.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "graph/builder.h"
#include "weights/rename.h"

namespace marrow {

// The settings of one network of a family, a flat JSON object: {"width": 1.0, "source": "torchvision"}.
// `source` names the implementation whose weights the network can carry: it decides batch-norm eps and
// momentum, padding, wiring and the input's format.
using BackboneConfig = nlohmann::json;

// The last tensor produced at each of strides 4, 8, 16 and 32.
struct Features {
  Value c2, c3, c4, c5;
};

struct BackboneVariant {
  std::string name;       // the published name, "starnet_s1"
  BackboneConfig config;  // what differs from the family's defaults
};

// How the published file of one source is laid out.
struct CheckpointLayout {
  std::string source;  // "torchvision", ...
  std::vector<std::string>
      signature;          // keys that every such file has and no other family's or source's file has
  BackboneConfig config;  // settings that such a file implies, beyond the source ({"deploy": true})
  // Published names -> ours, for a network of this config.
  std::function<std::vector<RenameRule>(const BackboneConfig&)> rules;
};

struct BackboneFamily {
  std::string name;                  // "starnet"
  std::string paper;                 // for listings: "Rewrite the Stars, Ma et al. 2024, arXiv 2403.19967"
  BackboneConfig defaults;           // every setting there is, with its default value; "source" among them
  std::vector<std::string> sources;  // valid values of "source"
  std::vector<BackboneVariant> variants;  // the published ones

  // Adds the body below the builder's path. Marks the taps "stem", "c1", ... that the literature names,
  // c2..c5 excepted: the caller does.
  std::function<Features(GraphBuilder&, Value image, const BackboneConfig&)> features;
  // Adds the published classifier head on c5 and returns the logits (N, classes).
  std::function<Value(GraphBuilder&, Value c5, const BackboneConfig&, int classes)> classifier;
  // What the weights of this source expect: normalisation, and resize and crop of the published evaluation.
  std::function<InputFormat(const BackboneConfig&)> input_format;
  std::vector<CheckpointLayout> layouts;
};

struct BackboneRegistration {
  explicit BackboneRegistration(BackboneFamily family);  // two of one name end the program at start-up
};

// All families, sorted by name.
std::vector<const BackboneFamily*> backbone_families();

struct BackboneChoice {
  const BackboneFamily* family = nullptr;
  std::string name;       // of the variant, or of the family when the config is the user's own
  BackboneConfig config;  // complete: defaults, then variant, then overrides
};

// Finds a variant ("starnet_s1") or a family ("starnet": its defaults) and applies `overrides`. Throws
// Error{kModel} for an unknown name, setting, source or type of value, naming the nearest valid one.
BackboneChoice choose_backbone(std::string_view name,
                               const BackboneConfig& overrides = BackboneConfig::object());
std::vector<std::string> backbone_names();  // every variant and family, sorted

// Adds the body at the builder's path and marks the taps c2..c5.
Features add_backbone(GraphBuilder& g, Value image, const BackboneChoice& choice);
// A whole classifier, parameters named as published: input, body, head; output "logits", taps c2..c5 and the
// family's own.
Graph build_classifier(const BackboneChoice& choice, int classes);

// A network whose parameters a published file could fill.
struct ImportCandidate {
  BackboneChoice choice;
  int classes = 0;  // 0: the file has no classifier
  Weights weights;  // renamed to our names
};
// Every variant of every family and source whose body's parameters `state` holds in the right shapes. Empty
// when no layout's signature matches. With `name` (a variant or family) or `source` not empty, only those; a
// name may also be a configuration that is not published, through `overrides`.
std::vector<ImportCandidate> recognise(const Weights& state, std::string_view name, std::string_view source,
                                       const BackboneConfig& overrides = BackboneConfig::object());

}  // namespace marrow
