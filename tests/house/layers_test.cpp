// The layout that docs/architecture.md describes, read off the sources.
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "sources.h"

namespace marrow::testing {
namespace {

// What a source of a layer includes and may not, one line each.
std::vector<std::string> wrong_includes(const Layers& layers, const Source& source) {
  const std::string root = "src/";
  const std::string prefix = "marrow/";
  std::vector<std::string> wrong;
  const std::string layer = layer_of(layers, source.path.string().substr(root.size() + prefix.size()));
  if (layer.empty()) return {source.path.string() + " lies in no layer"};
  for (const std::string& include : quoted_includes(source.text)) {
    if (!include.starts_with(prefix)) {
      if (!include.starts_with("hwy/"))
        wrong.push_back(source.path.string() + " includes \"" + include +
                        "\", which is not written from marrow/");
      continue;
    }
    // The public headers are in include/marrow, not in a layer: only what stands behind them includes them.
    const std::string used = include.find('/', prefix.size()) == std::string::npos
                                 ? "api"
                                 : layer_of(layers, include.substr(prefix.size()));
    if (!layers.at(layer).contains(used))
      wrong.push_back(source.path.string() + " of layer " + layer + " includes " + include + " of layer " +
                      used);
  }
  return wrong;
}

TEST(Layers, IncludeOnlyWhatStandsBelow) {
  const Layers layers = declared_layers();
  ASSERT_GT(layers.size(), 15u) << "of " << MARROW_LAYERS;
  const std::vector<Source> sources = read_sources({"src/marrow"});
  ASSERT_GT(sources.size(), 300u);
  for (const Source& source : sources) {
    // A build without LibTorch does not declare its layer.
    if (!layers.contains("train/torch") && source.path.string().starts_with("src/marrow/train/torch/"))
      continue;
    for (const std::string& line : wrong_includes(layers, source)) ADD_FAILURE() << line;
  }
}

TEST(Layers, AnIncludeOfALayerAboveIsFound) {
  const Layers layers = {{"base", {"base"}}, {"graph", {"graph", "base"}}};
  const Source down = {"src/marrow/graph/graph.h", "#include \"marrow/base/error.h\"\n#include <vector>\n"};
  EXPECT_TRUE(wrong_includes(layers, down).empty());
  const Source up = {"src/marrow/base/error.h", "#pragma once\n#include \"marrow/graph/graph.h\"\n"};
  EXPECT_EQ(wrong_includes(layers, up),
            (std::vector<std::string>{
                "src/marrow/base/error.h of layer base includes marrow/graph/graph.h of layer graph"}));
  const Source flat = {"src/marrow/base/error.h", "#include \"text.h\"\n"};
  EXPECT_EQ(wrong_includes(layers, flat).size(), 1u);
}

// Two types of one name in one namespace break the one-definition rule wherever both reach a program, and no
// compiler has to say so.
TEST(Types, HaveANameOfTheirOwnInTheirNamespace) {
  std::map<std::string, std::string> places;
  for (const Source& source : read_sources({"src", "apps"}))
    for (const std::string& type : defined_types(source.text)) {
      const auto [place, first] = places.emplace(type, source.path.string());
      // The two programs of apps/ are not linked with each other.
      EXPECT_TRUE(first) << type << " is defined in " << place->second << " and in " << source.path;
    }
  EXPECT_GT(places.size(), 300u);
}

TEST(Types, AreFoundInNamedNamespacesOnly) {
  const std::string text = R"(
    // struct Comment {};
    #define MACRO struct Macro {};
    namespace marrow::data {
    namespace { struct Hidden {}; }
    struct Forward;
    struct Box { struct Inner {}; int x = 0; };
    enum class Kind { kOne };
    class Reader final : public Base { void read() { struct Local {}; } };
    Box box(const char* name = "struct Quoted {}") { return {}; }
    namespace detail { union Word { int i; }; }
    }
    struct Global {};
  )";
  EXPECT_EQ(defined_types(text),
            (std::vector<std::string>{"marrow::data::Box", "marrow::data::Kind", "marrow::data::Reader",
                                      "marrow::data::detail::Word"}));
}

}  // namespace
}  // namespace marrow::testing
