// A backbone alone, without what follows it.
#pragma once

#include "marrow/nn/backbones/backbone.h"

namespace marrow::testing {

inline Graph body(std::string_view name, const nn::BackboneConfig& overrides = nn::BackboneConfig::object()) {
  GraphBuilder g;
  nn::add_backbone(g, g.input(3), nn::choose_backbone(name, overrides));
  return std::move(g).build();
}

}  // namespace marrow::testing
