#include "marrow/weights/torch/torch_writer.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdlib>

#include "marrow/base/files.h"
#include "marrow/weights/checkpoint_file.h"
#include "marrow/weights/torch/zip_reader.h"
#include "support/graphs.h"
#include "support/temporary_folder.h"

namespace marrow::weights {
namespace {

Weights sample() {
  Weights weights;
  weights["model.0.conv.weight"] = testing::noise({4, 3, 3, 3}, 1);
  weights["model.0.bn.bias"] = testing::noise({4}, 2);
  weights["empty"] = Tensor({0, 5});
  Tensor counter(Shape{}, DType::kInt64);
  counter.values<int64_t>()[0] = (int64_t{1} << 40) + 3;
  weights["model.0.bn.num_batches_tracked"] = counter;
  return weights;
}

TEST(TorchWriter, IsReadBackByOurReader) {
  const testing::TemporaryFolder folder;
  const Weights weights = sample();
  write_torch_state_dict(folder / "w.pt", weights);
  const Checkpoint read = read_checkpoint(folder / "w.pt");
  EXPECT_EQ(read.kind, CheckpointKind::kTorchArchive);
  ASSERT_EQ(read.state.size(), weights.size());
  for (const auto& [name, tensor] : weights) {
    const Tensor& back = read.state.at(name);
    EXPECT_EQ(back.shape(), tensor.shape()) << name;
    EXPECT_EQ(back.dtype(), tensor.dtype()) << name;
    EXPECT_EQ(std::string_view(reinterpret_cast<const char*>(back.bytes()), back.byte_size()),
              std::string_view(reinterpret_cast<const char*>(tensor.bytes()), tensor.byte_size()))
        << name;
  }
}

TEST(TorchWriter, TheSameTensorsGiveTheSameBytes) {
  const testing::TemporaryFolder folder;
  write_torch_state_dict(folder / "a.pt", sample());
  write_torch_state_dict(folder / "b.pt", sample());
  EXPECT_EQ(read_file(folder / "a.pt", 1 << 20), read_file(folder / "b.pt", 1 << 20));
}

// torch.load finds the folder by its data.pkl, reads entries that are stored, and maps storages where they
// are aligned.
TEST(TorchWriter, LaysTheArchiveOutAsTorchDoes) {
  const testing::TemporaryFolder folder;
  const Weights weights = sample();
  write_torch_state_dict(folder / "w.pt", weights);
  const std::string file = read_file(folder / "w.pt", 1 << 20);
  ZipReader zip(std::as_bytes(std::span(file)), "w.pt");  // refuses whatever is not stored or not consistent
  const auto content = [&](const std::string& name) {
    const std::span<const std::byte> bytes = zip.read("archive/" + name);  // checks its CRC-32
    return std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  };
  EXPECT_EQ(content("version"), "3\n");
  EXPECT_EQ(content("byteorder"), "little");
  size_t key = 0;
  for (const auto& [name, tensor] : weights)
    EXPECT_EQ(content(fmt::format("data/{}", key++)),
              std::string_view(reinterpret_cast<const char*>(tensor.bytes()), tensor.byte_size()))
        << name;
  EXPECT_EQ(zip.entries().size(), 3 + weights.size());
  for (const auto& [name, entry] : zip.entries())
    EXPECT_EQ((reinterpret_cast<const char*>(entry.bytes.data()) - file.data()) % 64, 0) << name;
}

// Every opcode, as Python's pickletools names them.
TEST(TorchWriter, PicklesAnOrderedDictOfRebuiltTensors) {
  const testing::TemporaryFolder folder;
  Weights weights;
  weights["a"] = Tensor({2, 3});
  weights["n"] = Tensor(Shape{}, DType::kInt64);
  write_torch_state_dict(folder / "w.pt", weights);
  const std::string file = read_file(folder / "w.pt", 1 << 20);
  ZipReader zip(std::as_bytes(std::span(file)), "w.pt");
  const std::span<const std::byte> bytes = zip.read("archive/data.pkl");

  using namespace std::string_literals;
  const auto unicode = [](const std::string& text) {  // BINUNICODE
    return "X"s + static_cast<char>(text.size()) + "\0\0\0"s + text;
  };
  const auto integer = [](char value) { return "J"s + value + "\0\0\0"s; };  // BININT
  const std::string ordered_dict = "ccollections\nOrderedDict\n)R";          // GLOBAL, EMPTY_TUPLE, REDUCE
  const auto tensor = [&](const std::string& storage, const std::string& key, char count,
                          const std::string& shape, const std::string& strides) {
    return "ctorch._utils\n_rebuild_tensor_v2\n((" + unicode("storage") + "ctorch\n" + storage + "\n" +
           unicode(key) + unicode("cpu") + integer(count) + "tQ"  // TUPLE, BINPERSID
           + integer(0) + "(" + shape + "t(" + strides + "t\x89" + ordered_dict + "tR";
  };
  const std::string wanted =
      "\x80\x02" + ordered_dict + "(" + unicode("a") +
      tensor("FloatStorage", "0", 6, integer(2) + integer(3), integer(3) + integer(1)) + unicode("n") +
      tensor("LongStorage", "1", 1, "", "") + "u.";  // SETITEMS, STOP
  EXPECT_EQ(std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()), wanted);
}

TEST(TorchWriter, IsReadByTorch) {
  // Of Debian, which python3-torch is for.
  constexpr const char* kPython = "/usr/bin/python3";
  constexpr int kNoTorch = 77;
  const testing::TemporaryFolder folder;
  const Weights weights = sample();
  write_torch_state_dict(folder / "w.pt", weights);
  const Tensor& weight = weights.at("model.0.conv.weight");
  double sum = 0;
  for (const float value : weight.values()) sum += value;
  const std::string script =
      "import sys, importlib.util; importlib.util.find_spec('torch') or sys.exit(77);"
      "import torch; d = torch.load(sys.argv[1]);"
      "assert list(d) == ['empty', 'model.0.bn.bias', 'model.0.bn.num_batches_tracked', "
      "'model.0.conv.weight'];"
      "w = d['model.0.conv.weight']; assert w.shape == (4, 3, 3, 3) and w.dtype == torch.float32;"
      "assert abs(w.double().sum().item() - float(sys.argv[2])) < 1e-6; assert d['empty'].shape == (0, 5);"
      "assert d['model.0.bn.num_batches_tracked'].item() == 2 ** 40 + 3";
  const std::string command = std::string(kPython) + " -c \"" + script + "\" " + (folder / "w.pt").string() +
                              " " + std::to_string(sum);
  const int status = std::system(command.c_str());
  ASSERT_TRUE(WIFEXITED(status));
  if (WEXITSTATUS(status) == kNoTorch || WEXITSTATUS(status) == 127)
    GTEST_SKIP() << "python3-torch is not here";
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace marrow::weights
