#include <fmt/format.h>
#include <zlib.h>

#include <nlohmann/json.hpp>

#include "image/made_files.h"
#include "marrow/model/checkpoint.h"
#include "marrow/model/spec.h"
#include "reliability/hostile_files.h"
#include "weights/pickle_writer.h"

namespace marrow::testing {
namespace {

using made::little;

std::string safetensors(const nlohmann::json& header, const std::string& data = "") {
  const std::string text = header.dump();
  return little(text.size(), 8) + text + data;
}

// A checkpoint that describes a network and brings none of its weights.
std::string described(const std::string& yaml) {
  const model::Model model = model::build_model(model::parse_model_spec(yaml, "huge.yaml"));
  return safetensors({{"__metadata__", model::checkpoint_metadata(model)}});
}

// A deployed model, which is kept as its graph.
std::string deployed(const std::string& nodes) {
  auto metadata = model::checkpoint_metadata(model::build_model(model::parse_model_spec(
      "nc: 1\nbackbone:\n  - [-1, 1, Conv, [8, 3, 8]]\nhead:\n  - [[-1], 1, Detect, [nc]]\n", "small.yaml")));
  metadata.erase("model");
  metadata["form"] = "deployed";
  metadata["marrow"] = "2";
  metadata["graph"] = R"({"channels":3,"nodes":[)" + nodes + R"(],"outputs":[{"name":"output0","value":1}]})";
  return safetensors({{"__metadata__", metadata}});
}

std::string silu(int from) {
  return fmt::format(R"({{"in":[{}],"name":"a","op":"silu","slope":0.0}})", from);
}

std::string many_nodes(int count) {
  std::string nodes = silu(0);
  for (int i = 1; i < count; ++i) nodes += "," + silu(i);
  return nodes;
}

// Nodes of an ONNX graph, by the encoding of protobuf.
std::string varint(uint64_t value) {
  std::string bytes;
  for (; value >= 128; value >>= 7) bytes += static_cast<char>(value | 128);
  return bytes + static_cast<char>(value);
}
std::string field(uint32_t number, const std::string& content) {
  return varint(number << 3 | 2) + varint(content.size()) + content;
}
std::string node(const std::string& kind, const std::string& from, const std::string& to) {
  return field(1, field(1, from) + field(2, to) + field(4, kind));
}
std::string onnx_model(const std::string& graph) {
  return varint(1 << 3) + varint(8) + field(7, graph) + field(8, field(1, "") + varint(2 << 3) + varint(13));
}
std::string place(uint32_t number, const std::string& name) {
  std::string shape;
  for (const uint64_t extent : {1, 3, 32, 32}) shape += field(1, varint(1 << 3) + varint(extent));
  return field(number, field(1, name) + field(2, field(1, varint(1 << 3) + varint(1) + field(2, shape))));
}
// A tensor without its numbers.
std::string initializer(const std::string& name, const std::vector<uint64_t>& shape) {
  std::string tensor;
  for (const uint64_t extent : shape) tensor += varint(1 << 3) + varint(extent);
  return field(5, tensor + varint(2 << 3) + varint(1) + field(8, name) + field(9, "1234"));
}

HostileFile network_file(const std::string& what, const std::string& name, const std::string& content,
                         const std::string& says) {
  return {what, name, content, {"info", name}, says};
}

std::string anchors() {
  std::string text = "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n";
  for (int i = 1; i < 15; ++i) {
    text += fmt::format("a{0}: &a{0} [", i);
    for (int j = 0; j < 10; ++j) text += fmt::format("{}*a{}", j > 0 ? ", " : "", i - 1);
    text += "]\n";
  }
  return text;
}

std::string deflated_zeros(size_t bytes) {
  const std::string plain(bytes, '\0');
  uLongf size = compressBound(plain.size());
  std::string packed(size, '\0');
  compress2(reinterpret_cast<Bytef*>(packed.data()), &size, reinterpret_cast<const Bytef*>(plain.data()),
            plain.size(), 1);
  return packed.substr(2, size - 6);  // without zlib's head and checksum
}

std::string million_nodes() {
  const std::string one = node("Relu", "a", "b");
  std::string nodes;
  for (int i = 0; i < 1'000'000; ++i) nodes += one;
  return onnx_model(nodes);
}

std::string deep_yaml() {
  return "backbone: " + std::string(500'000, '[');
}

}  // namespace

std::vector<HostileFile> hostile_networks() {
  const auto lines = [](const std::string& more) {
    return "nc: 1\nbackbone:\n" + more +
           "  - [-1, 1, Conv, [64, 1, 1]]\nhead:\n  - [[-1], 1, Detect, [nc]]\n";
  };
  const std::string huge = lines("  - [-1, 1, Conv, [16384, 1, 8]]\n  - [-1, 1, Conv, [65536, 1, 1]]\n");
  PickleWriter pickled;
  pickled.proto().raw("}").text("w").tensor("0", 1'000'000'000, 0, {1'000'000'000}, {1});
  std::string memo = "\x80\x02]q";
  memo += '\0';
  // A list of two of the list before it, thirty times: 2^30 entries, if anyone wrote them out.
  for (char i = 0; i < 30; ++i) memo += std::string("](h") + i + "h" + i + "eq" + static_cast<char>(i + 1);
  return {
      network_file("YAML of nested anchors: 10^15 values", "a.yaml", anchors() + "backbone: *a14\n",
                   "values"),
      network_file("YAML of 500,000 brackets", "b.yaml", deep_yaml(), "b.yaml"),
      network_file("YAML of a layer repeated 10^9 times", "c.yaml",
                   lines("  - [-1, 1000000000, Conv, [16, 3, 8]]\n"), "repeats"),
      network_file("YAML of 10^9 channels", "d.yaml", lines("  - [-1, 1, Conv, [1000000000, 3, 8]]\n"),
                   "d.yaml"),
      network_file("YAML of 1.07 billion weights", "e.yaml", huge, ""),
      network_file("checkpoint that describes 1.07 billion weights and holds none", "f.safetensors",
                   described(huge), "f.safetensors"),
      network_file("checkpoint with a graph of 100,000 nodes", "p.safetensors", deployed(many_nodes(100'000)),
                   "10000"),
      network_file("checkpoint with a graph in a circle", "q.safetensors", deployed(silu(2) + "," + silu(1)),
                   "q.safetensors"),
      network_file(
          "checkpoint with a graph of 10^9 channels", "r.safetensors",
          deployed(
              R"({"bias":true,"dilation":1,"groups":1,"in":[0],"kernel":3,"name":"a","op":"conv","out":1000000000,"padding":[1,1],"stride":2})"),
          "r.safetensors"),
      network_file(
          "checkpoint with a fixed layer of 10^9 numbers, which it need not hold", "s.safetensors",
          deployed(
              R"({"bias":false,"dilation":1,"fixed":1.0,"groups":1,"in":[0],"kernel":75,"name":"a","op":"conv","out":60000,"padding":[0,0],"stride":2})"),
          "fixed"),
      network_file(
          "safetensors with a tensor of 4 GB, without its bytes", "g.safetensors",
          safetensors(
              {{"a", {{"dtype", "F32"}, {"shape", {1'000'000'000}}, {"data_offsets", {0, 4'000'000'000}}}}}),
          "g.safetensors"),
      network_file("safetensors with a header of 8 EB", "h.safetensors", little(uint64_t{1} << 63, 8) + "{}",
                   "h.safetensors"),
      network_file("torch file with a storage of 4 GB, without its bytes", "i.pt",
                   legacy_file(pickled.raw("s").stop(), {{"0", 1'000'000'000, "1234"}}), "i.pt"),
      network_file("torch archive with deflated entries: 64 MB of zeros", "n.pt",
                   make_zip({{"net/data.pkl", deflated_zeros(64 << 20)}}, {.method = 8}), "compressed"),
      network_file("pickle of nested lists: 2^30 entries", "j.pt", memo + ".", "j.pt"),
      network_file("ONNX with a tensor of 4 GB, without its bytes", "k.onnx",
                   onnx_model(initializer("w", {1 << 15, 1 << 15})), "k.onnx"),
      network_file("ONNX of a million nodes", "l.onnx", million_nodes(), "20000"),
      network_file(
          "ONNX in a circle", "m.onnx",
          onnx_model(place(11, "x") + node("Relu", "a", "b") + node("Relu", "b", "a") + place(12, "b")),
          "circle"),
  };
}

}  // namespace marrow::testing
