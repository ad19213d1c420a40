#include "marrow/weights/checkpoint_file.h"

#include <gtest/gtest.h>

#include "marrow/base/error.h"
#include "marrow/weights/safetensors.h"
#include "pickle_writer.h"

namespace marrow::weights {
namespace {

using testing::floats;
using testing::legacy_file;
using testing::little_endian;
using testing::numpy_array;
using testing::PickleWriter;
using testing::ScratchFolder;
using testing::torch_archive;

using Numbers = std::vector<float>;

Numbers numbers(const Tensor& tensor) {
  return {tensor.values().begin(), tensor.values().end()};
}

class CheckpointFile : public ::testing::Test {
 protected:
  Checkpoint read(const std::string& content, const std::string& key = "") {
    return read_checkpoint(folder_.write("f.pt", content), {key});
  }
  std::string error_of(const std::string& content, const std::string& key = "") {
    try {
      read(content, key);
    } catch (const Error& error) {
      return error.what();
    }
    ADD_FAILURE() << "was read";
    return "";
  }
  ScratchFolder folder_;
};

// {"w": tensor of storage `key`}
PickleWriter& state_dict(PickleWriter& p, const std::string& name, const std::string& key) {
  return p.raw("}").text(name).tensor(key, 4, 0, {2, 2}, {2, 1}).raw("s");
}

PickleWriter& open_module(PickleWriter& p, std::string_view module, std::string_view name) {
  return p.global(module, name).raw(")\x81}(");
}

const std::vector<std::string> kTwoStorages = {floats({1, 2, 3, 4}), floats({5, 6, 7, 8})};

TEST_F(CheckpointFile, ReadsABareStateDict) {
  PickleWriter p;
  const Checkpoint checkpoint = read(torch_archive(state_dict(p.proto(), "a.w", "1").stop(), kTwoStorages));
  EXPECT_EQ(checkpoint.kind, CheckpointKind::kTorchArchive);
  EXPECT_EQ(checkpoint.key, "");
  ASSERT_EQ(checkpoint.state.size(), 1u);
  EXPECT_EQ(numbers(checkpoint.state.at("a.w")), Numbers({5, 6, 7, 8}));
  EXPECT_EQ(checkpoint.state.at("a.w").shape(), Shape({2, 2}));
}

TEST_F(CheckpointFile, KindIsRecognisedByContent) {
  const auto path = folder_.path() / "wrong_suffix.pth";
  write_safetensors(path, {{"module.w", Tensor(Shape{2}, DType::kFloat16)}}, {{"yaml", "nc: 1"}});
  const Checkpoint checkpoint = read_checkpoint(path);
  EXPECT_EQ(checkpoint.kind, CheckpointKind::kSafetensors);
  EXPECT_EQ(checkpoint.state.at("w").dtype(), DType::kFloat32);
  EXPECT_EQ(checkpoint.metadata.at("yaml"), "nc: 1");
}

TEST_F(CheckpointFile, ReadsTheFormatBefore16) {
  PickleWriter p;
  p.proto().raw("}(").text("state_dict");
  state_dict(p, "module.w", "94001").text("epoch").raw("K\x07u");
  const std::string file = legacy_file(p.stop(), {{"94001", 4, floats({1, 2, 3, 4})}});
  const Checkpoint checkpoint = read(file);
  EXPECT_EQ(checkpoint.kind, CheckpointKind::kTorchLegacy);
  EXPECT_EQ(checkpoint.key, "state_dict");
  EXPECT_EQ(checkpoint.metadata.at("epoch"), "7");
  EXPECT_EQ(numbers(checkpoint.state.at("w")), Numbers({1, 2, 3, 4}));
}

// Before 0.4 a storage could be a window of another: a sixth part (key, offset, count) of the persistent id.
TEST_F(CheckpointFile, ReadsStorageViewsOfTheFormatBefore16) {
  PickleWriter p;
  p.proto().raw("}").text("w").global("torch._utils", "_rebuild_tensor").raw("((").text("storage");
  p.global("torch", "FloatStorage").text("7").text("cpu").integer(4).raw("(").text("8").integer(2).integer(2);
  p.raw("ttQ").integer(0).integers({2}).integers({1}).raw("tRs");
  const Checkpoint checkpoint = read(legacy_file(p.stop(), {{"7", 4, floats({1, 2, 3, 4})}}));
  EXPECT_EQ(numbers(checkpoint.state.at("w")), Numbers({3, 4}));
}

TEST_F(CheckpointFile, PrefersTheAveragedWeights) {
  const std::vector<std::pair<std::vector<std::string>, std::string>> cases = {
      {{"model", "model_ema"}, "model_ema"},
      {{"state_dict", "model"}, "model"},
      {{"state_dict", "state_dict_ema"}, "state_dict"},
      {{"module", "x"}, "module"},
      {{"model", "ema"}, "ema"}};
  for (const auto& [keys, wanted] : cases) {
    PickleWriter p;
    p.proto().raw("}(");
    for (size_t i = 0; i < keys.size(); ++i) state_dict(p.text(keys[i]), "w", std::to_string(i));
    const Checkpoint checkpoint = read(torch_archive(p.raw("u").stop(), kTwoStorages));
    EXPECT_EQ(checkpoint.key, wanted);
    EXPECT_EQ(numbers(checkpoint.state.at("w"))[0], keys[0] == wanted ? 1 : 5);
  }
}

TEST_F(CheckpointFile, TakesTheEntryThatIsNamed) {
  PickleWriter p;
  p.proto().raw("}(");
  state_dict(p.text("state_dict"), "w", "0");
  state_dict(p.text("state_dict_ema"), "w", "1");
  const std::string file = torch_archive(p.text("epoch").raw("K\x01u").stop(), kTwoStorages);
  EXPECT_EQ(numbers(read(file, "state_dict_ema").state.at("w"))[0], 5);
  EXPECT_NE(error_of(file, "state_dict_emma").find("Did you mean 'state_dict_ema'"), std::string::npos);
  EXPECT_NE(error_of(file, "epoch").find("holds no weights"), std::string::npos);
}

TEST_F(CheckpointFile, NamesEntriesOfEntriesWithADot) {
  PickleWriter p;
  p.proto().raw("}").text("ema").raw("}(");
  state_dict(p.text("module"), "w", "0");
  state_dict(p.text("other"), "w", "1");
  const std::string file = torch_archive(p.raw("us").stop(), kTwoStorages);
  EXPECT_EQ(read(file).key, "ema.module");
  EXPECT_EQ(numbers(read(file, "ema.module").state.at("w"))[0], 1);
  EXPECT_EQ(numbers(read(file, "ema.other").state.at("w"))[0], 5);
}

TEST_F(CheckpointFile, ListsTheEntriesWhenNoneIsUsual) {
  PickleWriter p;
  p.proto().raw("}(");
  state_dict(p.text("student"), "w", "0");
  state_dict(p.text("teacher"), "w", "1");
  EXPECT_NE(error_of(torch_archive(p.raw("u").stop(), kTwoStorages)).find("student, teacher"),
            std::string::npos);
}

TEST_F(CheckpointFile, IgnoresNoneAndEverythingThatIsNoTensor) {
  PickleWriter p;
  p.proto().raw("}(").text("ema").raw("N").text("args").global("argparse", "Namespace").raw(")\x81");
  p.raw("}")
      .text("lr")
      .raw("K\x01sb")
      .text("optimizer")
      .raw("}")
      .text("version")
      .text("1.0")
      .text("model")
      .raw("}(");
  p.text("w").tensor("0", 4, 0, {4}, {1}).text("note").text("hello").raw("uu");
  const Checkpoint checkpoint = read(torch_archive(p.stop(), kTwoStorages));
  EXPECT_EQ(checkpoint.key, "model");
  EXPECT_EQ(checkpoint.state.size(), 1u);
  EXPECT_EQ(checkpoint.metadata.at("version"), "1.0");
}

TEST_F(CheckpointFile, HonoursOffsetAndStride) {
  PickleWriter p;
  p.proto()
      .raw("}(")
      .text("transposed")
      .tensor("0", 4, 0, {2, 2}, {1, 2})
      .text("offset")
      .tensor("0", 4, 1, {2}, {2});
  p.text("expanded")
      .tensor("0", 4, 3, {3, 2}, {0, 0})
      .text("one")
      .tensor("0", 4, 0, {1, 2}, {999'999'999'999, 1});
  p.text("empty").tensor("0", 4, 0, {0, 5}, {5, 1}).text("scalar").tensor("0", 4, 2, {}, {}).raw("u");
  const Weights state = read(torch_archive(p.stop(), kTwoStorages)).state;
  EXPECT_EQ(numbers(state.at("transposed")), Numbers({1, 3, 2, 4}));
  EXPECT_EQ(numbers(state.at("offset")), Numbers({2, 4}));
  EXPECT_EQ(numbers(state.at("expanded")), Numbers({4, 4, 4, 4, 4, 4}));
  EXPECT_EQ(numbers(state.at("one")), Numbers({1, 2}));
  EXPECT_EQ(state.at("empty").shape(), Shape({0, 5}));
  EXPECT_EQ(numbers(state.at("scalar")), Numbers({3}));
}

TEST_F(CheckpointFile, MakesFloatsFloat32AndKeepsIntegers) {
  const std::string half = std::string("\x00\x3c\x00\xc0", 4);  // 1, -2
  const std::string longs = little_endian(12345, 8);
  PickleWriter p;
  p.proto().raw("}(").text("h").tensor("0", 2, 0, {2}, {1}, "HalfStorage");
  p.text("n").tensor("1", 1, 0, {}, {}, "LongStorage");
  p.text("b").tensor("0", 2, 0, {2}, {1}, "BFloat16Storage").raw("u");
  const Weights state = read(torch_archive(p.stop(), {half, longs})).state;
  EXPECT_EQ(numbers(state.at("h")), Numbers({1, -2}));
  EXPECT_EQ(state.at("n").dtype(), DType::kInt64);
  EXPECT_EQ(state.at("n").values<int64_t>()[0], 12345);
  EXPECT_EQ(state.at("b").values()[1], -2.0f);
}

TEST_F(CheckpointFile, RefusesElementTypesItDoesNotHave) {
  PickleWriter p;
  p.proto().raw("}").text("w").tensor("0", 1, 0, {1}, {1}, "ComplexFloatStorage").raw("s");
  EXPECT_NE(error_of(torch_archive(p.stop(), {std::string(8, '\0')})).find("ComplexFloatStorage"),
            std::string::npos);
}

TEST_F(CheckpointFile, RefusesAnArchiveThatIsNoCheckpoint) {
  const std::string pickle = PickleWriter().proto().raw("N").stop();
  EXPECT_NE(error_of(torch_archive(pickle, {})).find("no weights"), std::string::npos);
  EXPECT_NE(error_of(testing::make_zip({{"a.txt", "x"}})).find("data.pkl"), std::string::npos);
  EXPECT_NE(
      error_of(testing::make_zip({{"n/data.pkl", pickle}, {"n/constants.pkl", pickle}})).find("TorchScript"),
      std::string::npos);
  EXPECT_NE(error_of(testing::make_zip({{"n/data.pkl", pickle}, {"n/byteorder", "big"}})).find("big-endian"),
            std::string::npos);
  EXPECT_NE(error_of(legacy_file(pickle, {}, false)).find("big-endian"), std::string::npos);
}

// A Conv of the flat module that 8.0.0 used, inside a DetectionModel.
TEST_F(CheckpointFile, ReadsAWholeModelObject) {
  PickleWriter p;
  p.proto().raw("}(").text("model");
  open_module(p, "ultralytics.nn.tasks", "DetectionModel")
      .text("_parameters")
      .raw("}")
      .text("_buffers")
      .raw("}");
  p.text("_modules").global("collections", "OrderedDict").raw(")R").text("model");
  open_module(p, "ultralytics.nn.modules", "Conv").text("_modules").raw("}").text("_parameters").raw("}(");
  p.text("weight").global("torch._utils", "_rebuild_parameter").raw("(").tensor("0", 4, 0, {4}, {1});
  p.raw("\x88").global("collections", "OrderedDict").raw(")RtR").text("bias").raw("Nu");
  p.text("_buffers")
      .raw("}(")
      .text("scratch")
      .tensor("1", 4, 0, {4}, {1})
      .text("mean")
      .tensor("1", 4, 0, {4}, {1});
  p.raw("u")
      .text("_non_persistent_buffers_set")
      .global("__builtin__", "set")
      .raw("](")
      .text("scratch")
      .raw("e\x85Rub");
  p.raw("s").text("stride").tensor("0", 4, 0, {2}, {1});
  p.text("names").raw("}(K").raw(std::string(1, '\0')).text("caf\xc3\xa9").raw("K\x01").text("cat").raw("u");
  p.text("yaml").raw("}").text("nc").raw("K\x02s").text("args").raw("}").text("imgsz").raw("K\x40sub");
  const Checkpoint checkpoint = read(torch_archive(p.text("ema").raw("Nu").stop(), kTwoStorages));
  ASSERT_TRUE(checkpoint.model.has_value());
  EXPECT_EQ(checkpoint.state.size(), 2u) << "no absent bias, no buffer that state_dict() leaves out";
  EXPECT_EQ(numbers(checkpoint.state.at("model.weight")), Numbers({1, 2, 3, 4}));
  EXPECT_TRUE(checkpoint.state.contains("model.mean"));
  EXPECT_EQ(checkpoint.model->class_name, "DetectionModel");
  EXPECT_EQ(checkpoint.model->task, "detect");
  EXPECT_EQ(checkpoint.model->names.at(0), "caf\xc3\xa9");
  EXPECT_EQ(checkpoint.model->nc, 2);
  EXPECT_EQ(checkpoint.model->yaml, R"({"nc":2})");
  EXPECT_EQ(checkpoint.model->stride, std::vector<double>({1, 2}));
  EXPECT_EQ(checkpoint.model->imgsz, std::vector<int64_t>({64}));
}

TEST_F(CheckpointFile, ReadsWhatFollowsEachConvolution) {
  PickleWriter p;
  const auto leaf = [&](std::string_view name, const auto& state) {
    open_module(p, "torch.nn.modules", name).text("_modules").raw("}").text("_parameters").raw("}");
    state();
    p.raw("ub");
  };
  const auto unit = [&](std::string_view name, std::string_view act, const auto& state) {
    p.text(name);
    open_module(p, "ultralytics.nn.modules.conv", "Conv")
        .text("_parameters")
        .raw("}")
        .text("_modules")
        .raw("}(");
    p.text("conv");
    leaf("Conv2d", [] {});
    p.text("act");
    leaf(act, state);
    p.raw("uub");
  };
  open_module(p.proto(), "ultralytics.nn.tasks", "DetectionModel")
      .text("_parameters")
      .raw("}")
      .text("_modules")
      .raw("}(");
  unit("plain", "SiLU", [] {});
  unit("none", "Identity", [] {});
  unit("leaky", "LeakyReLU", [&] { p.text("negative_slope").raw("G?\xb9\x99\x99\x99\x99\x99\x9a"); });  // 0.1
  unit("gelu", "GELU", [&] { p.text("approximate").text("tanh"); });
  p.text("alone");  // an activation that belongs to no convolution
  open_module(p, "torch.nn.modules", "Block")
      .text("_parameters")
      .raw("}")
      .text("_modules")
      .raw("}(")
      .text("act");
  leaf("ReLU", [] {});
  p.raw("uubuub");
  const Checkpoint checkpoint = read(torch_archive(p.stop(), {}));
  ASSERT_TRUE(checkpoint.model.has_value());
  EXPECT_EQ(checkpoint.model->activations,
            (std::map<std::string, std::string>{{"plain", "SiLU()"},
                                                {"none", "Identity()"},
                                                {"leaky", "LeakyReLU(negative_slope=0.1)"},
                                                {"gelu", "GELU(approximate=tanh)"}}));
}

TEST_F(CheckpointFile, LooksThroughDataParallel) {
  PickleWriter p;
  open_module(p.proto(), "torch.nn.parallel.data_parallel", "DataParallel").text("_parameters").raw("}");
  p.text("_modules").raw("}").text("module");
  open_module(p, "__main__", "Net").text("_modules").raw("}").text("_parameters").raw("}").text("w");
  p.tensor("0", 4, 0, {4}, {1}).raw("subsub");
  const Checkpoint checkpoint = read(torch_archive(p.stop(), kTwoStorages));
  EXPECT_TRUE(checkpoint.state.contains("w"));
  EXPECT_EQ(checkpoint.model->class_name, "Net");
}

// torch >= 2.1 writes some types over untyped storages, and subclasses of Tensor through
// _rebuild_from_type_v2.
TEST_F(CheckpointFile, ReadsNewerWaysToRebuildATensor) {
  const auto storage = [](PickleWriter& p, std::string_view module, std::string_view name, int64_t count) {
    p.raw("(").text("storage").global(module, name).text("0").text("cpu").integer(count).raw("tQ");
  };
  PickleWriter p;
  p.proto().raw("}(").text("v3").global("torch._utils", "_rebuild_tensor_v3").raw("(");
  storage(p, "torch.storage", "UntypedStorage", 16);
  p.integer(1).integers({2}).integers({1}).raw("\x89}").global("torch", "float32").raw("}tR");
  p.text("subclass")
      .global("torch._tensor", "_rebuild_from_type_v2")
      .raw("(")
      .global("torch._utils", "_rebuild_tensor_v2");
  p.global("torch", "Tensor").raw("(");
  storage(p, "torch", "FloatStorage", 4);
  p.integer(0).integers({4}).integers({1}).raw("\x89}t}tRu");
  const Weights state = read(torch_archive(p.stop(), kTwoStorages)).state;
  EXPECT_EQ(numbers(state.at("v3")), Numbers({2, 3}));
  EXPECT_EQ(numbers(state.at("subclass")), Numbers({1, 2, 3, 4}));
}

TEST_F(CheckpointFile, ReadsPaddle) {
  PickleWriter p;
  p.proto(4).raw("}(").text("fc.weight");
  numpy_array(p, {2, 2}, "f4", floats({1, 2, 3, 4})).text("pair").raw("(").text("linear_0.w");
  numpy_array(p, {2, 2}, "f4", floats({1, 2, 3, 4}), true).raw("t").text("half");
  numpy_array(p, {1}, "u2", "\x80\x3f")
      .text("StructuredToParameterName@@")
      .raw("}")
      .text("fc.weight")
      .text("w0")
      .raw("su");
  const Checkpoint checkpoint = read(p.stop());
  EXPECT_EQ(checkpoint.kind, CheckpointKind::kPickle);
  EXPECT_EQ(checkpoint.state.size(), 3u);
  EXPECT_EQ(numbers(checkpoint.state.at("fc.weight")), Numbers({1, 2, 3, 4}));
  EXPECT_EQ(numbers(checkpoint.state.at("pair")), Numbers({1, 3, 2, 4})) << "Fortran order";
  EXPECT_EQ(numbers(checkpoint.state.at("half")), Numbers({1})) << "Paddle keeps bfloat16 in uint16";
}

TEST_F(CheckpointFile, RefusesPaddleArraysThatDoNotFit) {
  const auto with = [&](const std::vector<int64_t>& shape, std::string_view type,
                        std::string_view order = "<") {
    PickleWriter p;
    p.proto(4).raw("}").text("w");
    return error_of(numpy_array(p, shape, type, floats({1, 2}), false, order).raw("s").stop());
  };
  EXPECT_NE(with({3}, "f4").find("does not fit"), std::string::npos);
  EXPECT_NE(with({1ll << 60}, "f4").find("memory"), std::string::npos);
  EXPECT_NE(with({-2}, "f4").find("negative"), std::string::npos);
  EXPECT_NE(with({2}, "O4").find("O4"), std::string::npos);
  EXPECT_NE(with({2}, "f4", ">").find(">f4"), std::string::npos);
}

}  // namespace
}  // namespace marrow::weights
