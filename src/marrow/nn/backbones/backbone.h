// What a backbone family tells the rest of Marrow. It does so in one source file, by a static
// BackboneRegistration; training, deployment, export, benchmarks, import, the command line and the YAML
// reader find it here. Registration happens before main(); afterwards everything here is only read, from any
// thread.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "marrow/graph/builder.h"
#include "marrow/weights/rename.h"

namespace marrow::nn {

// The settings of one network of a family, a flat JSON object: {"width": 1.0, "source": "torchvision"}.
// `source` names the implementation whose weights the network can carry: it decides batch-norm eps and
// momentum, padding, wiring, initialisation and the input's format.
using BackboneConfig = nlohmann::json;

// The last tensor produced at each of strides 4, 8, 16 and 32.
struct Features {
  Value c2, c3, c4, c5;
  std::optional<Value> c1 = {};  // at stride 2, where the family offers one
  int c2_stride = 4;             // some detectors' backbones begin with two maps of stride 8
};

struct BackboneSource {
  std::string name;                       // "torchvision"
  std::vector<std::string> aliases = {};  // other spellings; case is ignored in all of them
};

struct BackboneVariant {
  std::string name;       // the published name, "starnet_s1"
  BackboneConfig config;  // what differs from the family's defaults
  // The sources that publish weights under this name; empty: all. `config` may also fix the source.
  std::vector<std::string> sources = {};
};

// How the published files of one source are laid out.
struct CheckpointLayout {
  std::string source;  // "torchvision", ...
  // Keys that every such file has. Files of other families may have them too: names and shapes decide.
  std::vector<std::string> signature;
  std::vector<std::string> absent = {};  // keys that no such file has, where another family's files would
  BackboneConfig config =
      BackboneConfig::object();  // settings that such a file implies, beyond the source ({"deploy": true})
  // Published names -> ours, for a network of this config. What no rule matches is no part of the network.
  std::function<std::vector<weights::RenameRule>(const BackboneConfig&)> rules;
  // What renaming cannot say; runs on the renamed tensors. May be empty.
  std::function<void(Weights&)> finish = {};
};

struct BackboneFamily {
  std::string name;                     // "starnet"
  std::string paper;                    // for listings: "Rewrite the Stars, Ma et al. 2024, arXiv:2403.19967"
  BackboneConfig defaults;              // every setting there is, with its default value; "source" among them
  std::vector<BackboneSource> sources;  // valid values of "source", the default one first
  std::vector<BackboneVariant> variants;  // the published ones

  // Adds the body below the builder's path. Marks the taps that the literature names ("stem", "s2", ...),
  // c2..c5 excepted: the caller does. c5 is the body's last value.
  std::function<Features(GraphBuilder&, Value image, const BackboneConfig&)> features;
  // Adds the published classifier head on c5 and returns the logits (N, classes).
  std::function<Value(GraphBuilder&, Value c5, const BackboneConfig&, int classes)> classifier;
  // What the weights of this source expect: normalisation, and resize and crop of the published evaluation.
  std::function<InputFormat(const BackboneConfig&)> input_format;
  std::vector<CheckpointLayout> layouts;

  // By name or alias, whatever the case; nullptr when the family has no such source.
  const BackboneSource* find_source(std::string_view spelled) const;
};

// RGB in [0, 1], mean 0.485/0.456/0.406, std 0.229/0.224/0.225.
InputFormat imagenet_format(int resize, int crop, Interpolation interpolation);
// Rules that keep everything below each prefix ("stages" -> "stages.**") under its name.
std::vector<weights::RenameRule> keep_names(std::initializer_list<const char*> prefixes);

struct BackboneRegistration {
  explicit BackboneRegistration(BackboneFamily family);  // two of one name end the program at start-up
};

// All families, sorted by name.
std::vector<const BackboneFamily*> backbone_families();

struct BackboneChoice {
  const BackboneFamily* family = nullptr;
  std::string name;  // of the variant, or of the family when the config is the user's own
  BackboneConfig
      config;  // complete: defaults, then variant, then overrides; "source" spelled as in `sources`
};

// Finds a variant ("starnet_s1") or a family ("starnet": its defaults) and applies `overrides`. A family
// takes one setting more, "variant": the name of a variant with or without the family's ("s1"). Throws
// Error{kModel} for an unknown name, setting, source or type of value, naming the nearest valid one.
BackboneChoice choose_backbone(std::string_view name,
                               const BackboneConfig& overrides = BackboneConfig::object());
std::vector<std::string> backbone_names();  // every variant and family, sorted

// The layout of `choice`'s source that gives most of a file's tensors names of the body; nullptr when none
// does.
const CheckpointLayout* layout_of(const BackboneChoice& choice, const Weights& state);

// Adds the body at the builder's path and marks the taps c2..c5. Throws Error{kModel} for a body whose maps
// are not at strides 4, 8, 16 and 32: a detector cannot use it. Errors in the settings' values:
// Error{kModel}.
Features add_backbone(GraphBuilder& g, Value image, const BackboneChoice& choice);
// A whole classifier, parameters named as the default source publishes them: input, body, head; output
// "logits", taps c2..c5 and the family's own. Any strides will do.
Graph build_classifier(const BackboneChoice& choice, int classes, int channels = 3);

// A network whose parameters a published file could fill.
struct ImportCandidate {
  BackboneChoice choice;
  int classes = 0;  // 0: the file has no (complete) classifier
  Weights weights;  // renamed to our names; sharing storage with the file's where nothing was computed
};
// Every variant of every family and source whose body's parameters `state` holds in the right shapes, with
// nothing of the network left over. Networks that are the same under two names are listed once. Empty when no
// layout's signature matches. With `name` (a variant or family) or `source` not empty, only those; a family's
// name together with `overrides` is that one configuration (without a name, `overrides` apply to every
// network). Throws Error{kModel} when a signature matches but no network does, naming the nearest one and the
// first tensor that does not fit; and as choose_backbone does.
std::vector<ImportCandidate> recognise(const Weights& state, std::string_view name = "",
                                       std::string_view source = "",
                                       const BackboneConfig& overrides = BackboneConfig::object());
// For a file that fills no network whole: the one with the fewest tensors that do not fit, its weights
// whatever could be renamed. Empty when no layout's signature matches.
std::optional<ImportCandidate> recognise_nearest(const Weights& state, std::string_view name = "",
                                                 std::string_view source = "",
                                                 const BackboneConfig& overrides = BackboneConfig::object());

}  // namespace marrow::nn
