// The Open Inference Protocol's inference, beside the engine's own output.
#include <gtest/gtest.h>

#include <bit>

#include "marrow/image/decode.h"
#include "marrow/predict/classifier.h"
#include "marrow/serve/http/compression.h"
#include "serve/inference.h"
#include "support/expect_says.h"

namespace marrow::serve {
namespace {

using nlohmann::json;
using testing::data_of;
using testing::engine_output;
using testing::floats_of;
using testing::HttpAnswer;
using testing::input_of;
using testing::parts_of;
using testing::request_of;
using testing::shared_server;

constexpr const char* kInfer = "/v2/models/det/infer";

std::string bytes_of(const Tensor& tensor) {
  return {reinterpret_cast<const char*>(tensor.bytes()), tensor.byte_size()};
}

// The bytes behind the JSON are announced.
HttpAnswer post_binary(const std::string& target, const json& request, const std::string& bytes,
                       const std::string& fields = "") {
  const std::string text = request.dump();
  return shared_server().post(
      target, text + bytes,
      "Inference-Header-Content-Length: " + std::to_string(text.size()) + "\r\n" + fields);
}

TEST(Infer, EqualsTheEngineInJson) {
  const Tensor input = input_of(3, 64, 96);
  json request = request_of(input);
  request["id"] = "some \"id\"";
  request["inputs"][0]["data"] = data_of(input);
  request["parameters"] = {{"priority", 3}, {"anything", nullptr}};
  request["unknown"] = {1, {{"inputs", 2}}};
  const HttpAnswer answer = shared_server().post(kInfer, request.dump());
  ASSERT_EQ(answer.status, 200) << answer.body;
  EXPECT_FALSE(answer.has("inference-header-content-length"));
  const json found = json::parse(answer.body);
  EXPECT_EQ(found["model_name"], "det");
  EXPECT_EQ(found["model_version"], "1");
  EXPECT_EQ(found["id"], "some \"id\"");
  const json& output = found["outputs"][0];
  EXPECT_EQ(output["name"], "output0");
  EXPECT_EQ(output["datatype"], "FP32");
  EXPECT_EQ(output["shape"], json({3, 7, 96 + 24 + 6}));
  EXPECT_EQ(output["data"].get<std::vector<float>>(), engine_output("det", "output0", input));
}

TEST(Infer, EqualsTheEngineInBinary) {
  const Tensor input = input_of(2, 96, 64);
  json request = request_of(input);
  request["inputs"][0]["parameters"] = {{"binary_data_size", input.byte_size()}};
  request["outputs"] = {{{"name", "output0"}, {"parameters", {{"binary_data", true}}}}};
  const auto [head, bytes] = parts_of(post_binary(kInfer, request, bytes_of(input)));
  EXPECT_EQ(head["outputs"][0]["parameters"]["binary_data_size"], bytes.size());
  EXPECT_FALSE(head["outputs"][0].contains("data"));
  EXPECT_FALSE(head.contains("id"));
  EXPECT_EQ(floats_of(bytes), engine_output("det", "output0", input));
}

TEST(Infer, LetsRequestAndAnswerDiffer) {
  const Tensor input = input_of(1, 64, 64);
  const std::vector<float> expected = engine_output("det", "output0", input);
  // Numbers nested as the shape is, answered in binary.
  json request = request_of(input);
  json nested = json::array({json::array()});
  const std::vector<float> flat(input.values().begin(), input.values().end());
  for (size_t c = 0; c < 3; ++c) {
    json rows = json::array();
    for (size_t y = 0; y < 64; ++y)
      rows.push_back(std::vector<float>(flat.begin() + static_cast<long>((c * 64 + y) * 64),
                                        flat.begin() + static_cast<long>((c * 64 + y + 1) * 64)));
    nested[0].push_back(rows);
  }
  request["inputs"][0]["data"] = nested;
  request["parameters"] = {{"binary_data_output", true}};
  EXPECT_EQ(floats_of(parts_of(shared_server().post(kInfer, request.dump())).bytes), expected);
  // The output's own wish counts.
  request["outputs"] = {{{"name", "output0"}, {"parameters", {{"binary_data", false}}}}};
  const HttpAnswer answer = shared_server().post("/v2/models/det/versions/1/infer", request.dump());
  EXPECT_EQ(json::parse(answer.body)["outputs"][0]["data"].get<std::vector<float>>(), expected);
  // The only input may leave its size out.
  const json bare = request_of(input);
  EXPECT_EQ(json::parse(post_binary(kInfer, bare, bytes_of(input)).body)["outputs"][0]["data"]
                .get<std::vector<float>>(),
            expected);
}

TEST(Infer, TakesAndGivesPackedBodies) {
  const Tensor input = input_of(1, 64, 64);
  json request = request_of(input);
  request["parameters"] = {{"binary_data_output", true}};
  const std::string text = request.dump();
  for (const Coding coding : {Coding::kGzip, Coding::kDeflate}) {
    const std::string name(coding_name(coding));
    HttpAnswer answer =
        shared_server().post(kInfer, pack(text + bytes_of(input), coding),
                             "Inference-Header-Content-Length: " + std::to_string(text.size()) +
                                 "\r\nContent-Encoding: " + name + "\r\nAccept-Encoding: " + name + "\r\n");
    EXPECT_EQ(answer.field("content-encoding"), name);
    EXPECT_EQ(answer.field("vary"), "Accept-Encoding");
    answer.body = unpack(answer.body, coding, 100 << 20);
    EXPECT_EQ(floats_of(parts_of(answer).bytes), engine_output("det", "output0", input));
  }
  const HttpAnswer refused = shared_server().post(kInfer, text, "Content-Encoding: br\r\n");
  EXPECT_EQ(refused.status, 415);
  EXPECT_EQ(refused.field("accept-encoding"), "gzip, deflate");
}

std::string length_prefixed(const std::string& bytes) {
  const auto length = static_cast<uint32_t>(bytes.size());
  return std::string(reinterpret_cast<const char*>(&length), sizeof(length)) + bytes;
}

TEST(Infer, TakesEncodedPictures) {
  const std::vector<std::string> pictures = {testing::drawn_jpeg(150, 90, 1),
                                             testing::drawn_jpeg(40, 300, 2)};
  std::string bytes;
  std::vector<float> expected;
  const model::TrainedModel trained = testing::served_model("det");
  for (const std::string& picture : pictures) {
    bytes += length_prefixed(picture);
    const image::Image decoded = image::decode_image(std::as_bytes(std::span(picture)), "picture").image;
    Tensor input({1, 3, testing::kServedSide, testing::kServedSide});
    image::fill_letterboxed(decoded,
                            letterbox_geometry({decoded.width(), decoded.height()},
                                               {testing::kServedSide, testing::kServedSide}, {}),
                            input_format(trained.model.graph), input.values().data());
    const std::vector<float> one = engine_output("det", "output0", input);
    expected.insert(expected.end(), one.begin(), one.end());
  }
  json request = {{"inputs",
                   {{{"name", "images"},
                     {"datatype", "BYTES"},
                     {"shape", {2}},
                     {"parameters", {{"binary_data_size", bytes.size()}}}}}},
                  {"parameters", {{"binary_data_output", true}}}};
  const auto [head, found] = parts_of(post_binary(kInfer, request, bytes));
  EXPECT_EQ(head["outputs"][0]["shape"][0], 2);
  EXPECT_EQ(floats_of(found), expected);
  request["inputs"][0]["shape"] = {2, 1};
  EXPECT_EQ(post_binary(kInfer, request, bytes).status, 200);
}

TEST(Infer, WarnsOfDamagedPictures) {
  const std::string whole = testing::drawn_jpeg(90, 60, 1);
  const std::string bytes = length_prefixed(whole) + length_prefixed(whole.substr(0, whole.size() / 2));
  const json request = {{"inputs",
                         {{{"name", "images"},
                           {"datatype", "BYTES"},
                           {"shape", {2}},
                           {"parameters", {{"binary_data_size", bytes.size()}}}}}},
                        {"parameters", {{"binary_data_output", true}}}};
  const json head = parts_of(post_binary(kInfer, request, bytes)).head;
  EXPECT_SAYS(head["parameters"]["warning"].get<std::string>(),
              "input 'images', element 1: damaged JPEG: the file ends early");
}

TEST(Infer, TakesRawBodiesWhereTheShapeFollows) {
  const int side = testing::kServedSide;
  const Tensor input = input_of(1, side, side);
  const std::string raw = "Inference-Header-Content-Length: 0\r\n";
  const auto [head, bytes] = parts_of(shared_server().post("/v2/models/cls/infer", bytes_of(input), raw));
  EXPECT_EQ(floats_of(bytes), predict::class_probabilities(engine_output("cls", "logits", input)));
  EXPECT_EQ(shared_server().post("/v2/models/cls/infer", bytes_of(input) + "x", raw).status, 400);
  EXPECT_SAYS(shared_server().post(kInfer, bytes_of(input), raw).body, "shape follows from its size");
}

TEST(Infer, RefusesWhatDoesNotFit) {
  struct Row {
    const char* request;
    const char* says;
  };
  const Row rows[] = {
      {"", "no JSON"},
      {"{", "no JSON"},
      {"[]", "wanted is an object"},
      {"3", "wanted is an object"},
      {"{} {}", "no JSON"},
      {R"({"inputs":[]})", "no inputs"},
      {R"({})", "no inputs"},
      {R"({"inputs":3})", "inputs: wanted an array, found a number"},
      {R"({"inputs":[3]})", "inputs: wanted objects"},
      {R"({"inputs":[],"inputs":[]})", "inputs: given twice"},
      {R"({"id":3,"inputs":[]})", "id: wanted a text"},
      {R"({"inputs":[{"name":"image","datatype":"FP32","shape":[1],"data":[1]}]})", "unknown input 'image'"},
      {R"({"inputs":[{"name":"images","name":"images"}]})", "inputs[0].name: given twice"},
      {R"({"inputs":[{"name":"images","datatype":"FP32","shape":[1,3,32,32],"data":[1]},{"name":"images"}]})",
       "given twice"},
      {R"({"inputs":[{"name":"images","datatype":"FP32","data":[1]}]})", "it has no shape"},
      {R"({"inputs":[{"name":"images","shape":[1,3,32,32],"data":[1]}]})", "datatype is ''"},
      {R"({"inputs":[{"name":"images","datatype":"INT8","shape":[1,3,32,32],"data":[1]}]})",
       "wanted is FP32"},
      {R"({"inputs":[{"name":"images","datatype":"FP16","shape":[1,3,32,32],"data":[1]}]})",
       "wanted is FP32"},
      {R"({"inputs":[{"name":"images","datatype":"FP32","shape":[1,3,32,32]}]})", "neither data nor"},
      {R"({"inputs":[{"name":"images","datatype":"FP32","shape":[1,3,32,32],"data":[1,2]}]})",
       "wants 3072 numbers, data has 2"},
      {R"({"inputs":[{"name":"images","datatype":"FP32","shape":[1,4,64,64],"data":[1]}]})",
       "has shape [1, 4, 64, 64], expected [1..8, 3, H, W] with H, W multiples of 32, at most 160"},
      {R"({"inputs":[{"name":"images","datatype":"FP32","shape":[3,64,64],"data":[1]}]})",
       "has shape [3, 64, 64]"},
      {R"({"inputs":[{"name":"images","datatype":"FP32","shape":[0,3,64,64],"data":[]}]})", "has shape [0,"},
      {R"({"inputs":[{"name":"images","datatype":"FP32","shape":[9,3,64,64],"data":[]}]})", "has shape [9,"},
      {R"({"inputs":[{"name":"images","datatype":"FP32","shape":[1,3,64,63],"data":[]}]})", "has shape"},
      {R"({"inputs":[{"name":"images","datatype":"FP32","shape":[1,3,192,64],"data":[]}]})", "has shape"},
      {R"({"inputs":[{"name":"images","datatype":"FP32","shape":[1,3,4611686018427387904,4],"data":[]}]})",
       "has shape"},
      {R"({"inputs":[{"name":"images","datatype":"FP32","shape":[1,3,-64,64],"data":[]}]})",
       "non-negative integers"},
      {R"({"inputs":[{"name":"images","datatype":"FP32","shape":[1,3,64.0,64],"data":[]}]})",
       "non-negative integers"},
      {R"({"inputs":[{"name":"images","datatype":"FP32","shape":[1,3,64,99999999999999999999],"data":[]}]})",
       "non-negative integers"},
      {R"({"inputs":[{"name":"images","datatype":"FP32","shape":[[1]],"data":[]}]})",
       "non-negative integers"},
      {R"({"inputs":[{"name":"images","datatype":"FP32","shape":[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]}]})",
       "more than 16 dimensions"},
      {R"({"inputs":[{"name":"images","datatype":"FP32","shape":[1,3,32,32],"data":["a"]}]})",
       "wanted numbers"},
      {R"({"inputs":[{"name":"images","datatype":"FP32","shape":[1,3,32,32],"data":[null]}]})",
       "wanted numbers"},
      {R"({"inputs":[{"name":"images","datatype":"FP32","shape":[1,3,32,32],"data":[NaN]}]})", "no JSON"},
      {R"({"inputs":[{"name":"images","datatype":"FP32","shape":[1,3,32,32],"data":[1e39]}]})",
       "beyond FP32"},
      {R"({"inputs":[{"name":"images","datatype":"FP32","shape":[1,3,32,32],"data":[1e999]}]})", "no JSON"},
      {R"({"inputs":[{"name":"images","datatype":"FP32","shape":[1,3,32,32],"data":3}]})", "wanted an array"},
      {R"({"inputs":[{"name":"images","datatype":"FP32","shape":[1,3,32,32],"data":[1],
          "parameters":{"binary_data_size":4}}]})",
       "one of them has to go"},
      {R"({"inputs":[{"name":"images","datatype":"FP32","shape":[1,3,32,32],"parameters":{"binary_data_size":4}}]})",
       "its shape wants 12288 bytes"},
      {R"({"inputs":[{"name":"images","datatype":"FP32","shape":[1,3,32,32],"parameters":{"binary_data_size":4.5}}]})",
       "binary_data_size: wanted a non-negative integer"},
      {R"({"inputs":[{"name":"images","datatype":"FP32","shape":[1,3,32,32],
          "parameters":{"shared_memory_region":"a"}}]})",
       "shared_memory_region: this server has no such extension"},
      {R"({"inputs":[{"name":"images","datatype":"BYTES","shape":[1],"data":["a"]}]})",
       "BYTES are sent as binary"},
      {R"({"inputs":[{"name":"images","datatype":"FP32","shape":[1,3,32,32],"data":[1]}],"outputs":[{"name":"x"}]})",
       "unknown output 'x'; known: output0"},
      {R"({"inputs":[{"name":"images","datatype":"FP32","shape":[1,3,32,32],"data":[1]}],
          "outputs":[{"name":"output0"},{"name":"output0"}]})",
       "asked for twice"},
      {R"({"inputs":[{"name":"images"}],"outputs":[{"name":"output0","parameters":{"classification":3}}]})",
       "classification: this server has no such extension"},
  };
  for (const Row& row : rows) {
    const HttpAnswer answer = shared_server().post(kInfer, row.request);
    EXPECT_EQ(answer.status, 400) << row.request;
    EXPECT_SAYS(json::parse(answer.body)["error"].get<std::string>(), row.says);
  }
}

TEST(Infer, RefusesDepthAndNumbersBeyondItsLimits) {
  const auto nested = [](size_t depth) {
    return R"({"unknown":)" + std::string(depth, '[') + std::string(depth, ']') + "}";
  };
  EXPECT_SAYS(shared_server().post(kInfer, nested(99)).body, "no inputs");
  EXPECT_SAYS(shared_server().post(kInfer, nested(100)).body, "deeper than 100");
  EXPECT_SAYS(shared_server().post(kInfer, nested(1'000'000)).body, "deeper than 100");
  std::string zeros = "0";
  for (int i = 0; i < 8 * 3 * 160 * 160; ++i) zeros += ",0";
  EXPECT_SAYS(shared_server().post(kInfer, R"({"inputs":[{"data":[)" + zeros + "]}]}").body,
              "more than 614400 numbers");
  std::string inputs = "{}";
  for (int i = 0; i < 64; ++i) inputs += ",{}";
  EXPECT_SAYS(shared_server().post(kInfer, R"({"inputs":[)" + inputs + "]}").body, "more than 64 inputs");
}

TEST(Infer, RefusesBinaryDataThatDoNotAddUp) {
  const Tensor input = input_of(1, 32, 32);
  json request = request_of(input);
  request["inputs"][0]["parameters"] = {{"binary_data_size", input.byte_size()}};
  const std::string text = request.dump(), bytes = bytes_of(input);
  const auto header = [](const std::string& value) {
    return "Inference-Header-Content-Length: " + value + "\r\n";
  };
  const std::string length = std::to_string(text.size());
  const auto refusal = [&](const std::string& body, const std::string& fields) {
    const HttpAnswer answer = shared_server().post(kInfer, body, fields);
    EXPECT_EQ(answer.status, 400) << answer.body;
    return answer.body;
  };
  EXPECT_EQ(shared_server().post(kInfer, text + bytes, header(length)).status, 200);
  EXPECT_SAYS(refusal(text + bytes + "x", header(length)), "bytes are behind the JSON");
  EXPECT_SAYS(refusal(text + bytes.substr(1), header(length)), "bytes are behind the JSON");
  EXPECT_SAYS(refusal(text, header(length)), "0 bytes are behind the JSON");
  EXPECT_SAYS(refusal(text + bytes, header("1" + std::string(9, '0'))), "but the body has");
  EXPECT_SAYS(refusal(text + bytes, header("-1")), "not a number");
  EXPECT_SAYS(refusal(text + bytes, header("+" + length)), "not a number");
  EXPECT_SAYS(refusal(text + bytes, header("0x10")), "not a number");
  EXPECT_SAYS(refusal(text + bytes, header("")), "not a number");
  EXPECT_SAYS(refusal(text + bytes, header(length) + header(length)), "given twice");
  EXPECT_SAYS(refusal(text + bytes, header("10")), "no JSON");
  EXPECT_SAYS(refusal(text + bytes, ""), "no JSON");
  // Encoded pictures whose lengths do not add up.
  const auto pictures = [&](int count, const std::string& elements) {
    const json wish = {{"inputs", {{{"name", "images"}, {"datatype", "BYTES"}, {"shape", {count}}}}}};
    return refusal(wish.dump() + elements, header(std::to_string(wish.dump().size())));
  };
  const std::string picture = length_prefixed(testing::drawn_jpeg(40, 40, 1));
  EXPECT_SAYS(pictures(2, picture), "element 1 of 2 is missing");
  EXPECT_SAYS(pictures(1, picture + "x"), "1 bytes are left");
  EXPECT_SAYS(pictures(1, picture.substr(0, 100)), "are left");
  EXPECT_SAYS(pictures(1, "\xff\xff\xff\xff"), "says it has 4294967295 bytes");
  EXPECT_SAYS(pictures(9, picture), "expected [1..8]");
  EXPECT_SAYS(pictures(1, length_prefixed("no picture")), "element 0");
}

}  // namespace
}  // namespace marrow::serve
