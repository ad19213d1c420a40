#include "marrow/weights/safetensors.h"

#include <gtest/gtest.h>

#include <cstring>

#include "marrow/base/error.h"
#include "marrow/base/files.h"
#include "pickle_writer.h"

namespace marrow::weights {
namespace {

using testing::little_endian;
using testing::ScratchFolder;

std::string file_with(const std::string& header, size_t data_bytes) {
  return little_endian(header.size(), 8) + header + std::string(data_bytes, '\1');
}

std::string entry(const std::string& name, const std::string& shape, size_t begin, size_t end,
                  const std::string& dtype = "F32") {
  return "\"" + name + "\":{\"dtype\":\"" + dtype + "\",\"shape\":" + shape + ",\"data_offsets\":[" +
         std::to_string(begin) + "," + std::to_string(end) + "]}";
}

class Safetensors : public ::testing::Test {
 protected:
  void expect_refused(const std::string& content, const std::string& part_of_message) {
    try {
      read_safetensors(folder_.write("f", content));
      ADD_FAILURE() << "was read: " << content.substr(8);
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find(part_of_message), std::string::npos) << error.what();
    }
  }
  ScratchFolder folder_;
};

TEST_F(Safetensors, GivesBackWhatWasWritten) {
  Weights tensors;
  for (const DType dtype :
       {DType::kFloat32, DType::kFloat16, DType::kBFloat16, DType::kFloat64, DType::kInt64, DType::kInt32,
        DType::kInt16, DType::kInt8, DType::kUInt8, DType::kBool}) {
    Tensor tensor(Shape{3, 5}, dtype);
    for (size_t i = 0; i < tensor.byte_size(); ++i) tensor.bytes()[i] = static_cast<std::byte>(i % 2);
    tensors["t." + std::string(dtype_name(dtype))] = tensor;
  }
  tensors["scalar"] = Tensor::scalar(2.5f);
  tensors["empty"] = Tensor(Shape{0, 7});
  const auto path = folder_.path() / "a.safetensors";
  write_safetensors(path, tensors, {{"yaml", "nc: 2\n\"caf\xc3\xa9\""}, {"epoch", "3"}});

  const SafetensorsFile file = read_safetensors(path);
  EXPECT_EQ(file.metadata.at("yaml"), "nc: 2\n\"caf\xc3\xa9\"");
  EXPECT_EQ(file.metadata.at("epoch"), "3");
  ASSERT_EQ(file.tensors.size(), tensors.size());
  for (const auto& [name, tensor] : tensors) {
    const Tensor& read = file.tensors.at(name);
    EXPECT_EQ(read.dtype(), tensor.dtype()) << name;
    EXPECT_EQ(read.shape(), tensor.shape()) << name;
    EXPECT_EQ(std::memcmp(read.bytes(), tensor.bytes(), tensor.byte_size()), 0) << name;
  }
}

TEST_F(Safetensors, WritesAlignedDataAndTheSameBytesTwice) {
  Weights tensors = {{"a", Tensor(Shape{3}, DType::kUInt8)}, {"b", Tensor(Shape{3})}};
  write_safetensors(folder_.path() / "1", tensors, {});
  write_safetensors(folder_.path() / "2", tensors, {});
  const std::string first = read_file(folder_.path() / "1", 10'000);
  EXPECT_EQ(first, read_file(folder_.path() / "2", 10'000));
  EXPECT_EQ((first.size() - 15) % 8, 0u);
  EXPECT_NE(first.find("\"data_offsets\":[0,12]"), std::string::npos) << "the wider type comes first";
}

TEST_F(Safetensors, AFileWithoutTensorsIsAFile) {
  EXPECT_TRUE(read_safetensors(folder_.write("f", file_with("{}", 0))).tensors.empty());
}

TEST_F(Safetensors, RefusesHeadersThatDoNotFit) {
  expect_refused(little_endian(1ull << 63, 8) + "{}", "header");
  expect_refused(little_endian(~0ull, 8) + "{}", "header");
  expect_refused(little_endian(3, 8) + "{}", "header");
  expect_refused("1234567", "too short");
  expect_refused("", "too short");
}

TEST_F(Safetensors, RefusesHeadersThatAreNotTheFormat) {
  expect_refused(file_with("[]", 0), "not a JSON object");
  expect_refused(file_with("{\"a\":", 0), "not JSON");
  expect_refused(file_with("{} x", 0), "not JSON");
  expect_refused(file_with("{\"a\xff\":1}", 0), "not JSON");
  expect_refused(file_with(std::string(100'000, '['), 0), "too deep");
  expect_refused(file_with("{\"a\":1}", 0), "dtype");
  expect_refused(file_with("{\"__metadata__\":{\"a\":1}}", 0), "not text");
  expect_refused(file_with("{" + entry("a", "[1]", 0, 4, "F8_E4M3") + "}", 4), "F8_E4M3");
  expect_refused(file_with("{" + entry("a", "[-1]", 0, 4) + "}", 4), "counts");
  expect_refused(file_with("{" + entry("a", "[1.0]", 0, 4) + "}", 4), "counts");
  expect_refused(file_with("{" + entry("", "[1]", 0, 4) + "}", 4), "name");
}

TEST_F(Safetensors, RefusesRangesThatDoNotFit) {
  expect_refused(file_with("{" + entry("a", "[2]", 0, 8) + "}", 4), "outside the file");
  expect_refused(file_with("{" + entry("a", "[1]", 4, 0) + "}", 4), "outside the file");
  expect_refused(file_with("{" + entry("a", "[3]", 0, 8) + "}", 8), "needs 12 bytes");
  expect_refused(file_with("{" + entry("a", "[4611686018427387904,16]", 0, 8) + "}", 8), "memory");
  expect_refused(file_with("{" + entry("a", "[2]", 0, 8) + "," + entry("b", "[2]", 4, 12) + "}", 12),
                 "overlap");
  expect_refused(file_with("{" + entry("a", "[1]", 0, 4) + "," + entry("b", "[1]", 8, 12) + "}", 12), "gap");
  expect_refused(file_with("{" + entry("a", "[1]", 0, 4) + "}", 8), "end at byte 4");
  expect_refused(file_with("{" + entry("a", "[1]", 0, 4) + "," + entry("a", "[1]", 4, 8) + "}", 8), "twice");
}

TEST_F(Safetensors, EveryTruncationIsAnError) {
  const std::string file = file_with("{" + entry("a", "[2]", 0, 8) + "}", 8);
  for (size_t size = 0; size < file.size(); ++size)
    EXPECT_THROW(read_safetensors(folder_.write("f", file.substr(0, size))), Error) << size;
}

TEST_F(Safetensors, EveryFlippedBitIsAnErrorOrAFile) {
  const std::string file = file_with("{" + entry("a", "[2]", 0, 8) + ",\"__metadata__\":{\"k\":\"v\"}}", 8);
  for (size_t at = 0; at < file.size(); ++at)
    for (int bit = 0; bit < 8; ++bit) {
      std::string flipped = file;
      flipped[at] = static_cast<char>(flipped[at] ^ (1 << bit));
      try {
        read_safetensors(folder_.write("f", flipped));
      } catch (const Error&) {
      }
    }
}

TEST_F(Safetensors, RefusesToWriteWhatCannotBeRead) {
  const Weights bad_name = {{"a\xff", Tensor(Shape{1})}};
  EXPECT_THROW(write_safetensors(folder_.path() / "a", bad_name, {}), Error);
  EXPECT_THROW(write_safetensors(folder_.path() / "a", {}, {{"k", "\xff"}}), Error);
  EXPECT_FALSE(std::filesystem::exists(folder_.path() / "a"));
}

}  // namespace
}  // namespace marrow::weights
