// Files made to break the reader. Each must end in an Error, quickly and in little memory; run under the
// sanitizers too.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <chrono>
#include <cstdlib>
#include <random>

#include "marrow/base/error.h"
#include "marrow/weights/checkpoint_file.h"
#include "marrow/weights/safetensors.h"
#include "pickle_writer.h"

namespace marrow::weights {
namespace {

using testing::floats;
using testing::legacy_file;
using testing::little_endian;
using testing::make_zip;
using testing::PickleWriter;
using testing::ScratchFolder;
using testing::torch_archive;

const std::vector<std::string> kStorages = {floats({1, 2, 3, 4})};
const testing::LegacyStorage kLegacyStorage = {"0", 4, kStorages[0]};

std::string small_pickle() {
  PickleWriter p;
  p.proto().raw("}").text("w").tensor("0", 4, 0, {2, 2}, {2, 1}).raw("s");
  return p.stop();
}

class HostileCheckpoint : public ::testing::Test {
 protected:
  std::string error_of(const std::string& content) {
    try {
      read_checkpoint(folder_.write("f", content));
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }
  void expect_refused(const std::string& content, const std::string& part_of_message) {
    const std::string message = error_of(content);
    EXPECT_NE(message.find(part_of_message), std::string::npos) << "message: '" << message << "'";
  }
  void expect_refused_everywhere(const std::string& pickle, const std::string& part_of_message) {
    expect_refused(torch_archive(pickle, kStorages), part_of_message);
    const bool has_tensors = pickle.find("FloatStorage") != std::string::npos;
    const std::vector<testing::LegacyStorage> none;
    expect_refused(legacy_file(pickle, has_tensors ? std::vector{kLegacyStorage} : none), part_of_message);
    if (pickle.starts_with('\x80')) expect_refused(pickle, part_of_message);
  }
  // Reading either works or throws an Error: anything else ends the test program.
  void survive(const std::string& content) { error_of(content); }
  ScratchFolder folder_;
};

TEST_F(HostileCheckpoint, NothingIsRun) {
  const std::string flag = (folder_.path() / "was_run").string();
  const std::string command = "touch " + flag;
  PickleWriter inside;  // beside honest weights
  inside.proto()
      .raw("}(")
      .text("w")
      .tensor("0", 4, 0, {4}, {1})
      .text("x")
      .call("os", "system", command)
      .raw("u");
  expect_refused_everywhere(inside.stop(), "wants to run os.system");
  expect_refused_everywhere(PickleWriter().proto().call("posix", "system", command).stop(), "posix.system");
  expect_refused_everywhere(PickleWriter().proto().call("builtins", "eval", "1").stop(), "builtins.eval");
  expect_refused_everywhere(PickleWriter()
                                .proto(4)
                                .text("o"
                                      "s")
                                .text("system")
                                .raw("\x93")
                                .text(command)
                                .raw("\x85R")
                                .stop(),
                            "os.system");
  expect_refused_everywhere("\x80\x02(S'x'\nios\nsystem\n.", "os.system");
  expect_refused_everywhere("cos\nsystem\n(S'x'\ntR.", "os.system");
  expect_refused_everywhere("\x80\x02\x82\x01.", "opcode");
  // Hidden in the state of a network, in the keys of the legacy format, behind a partial.
  PickleWriter state;
  state.proto()
      .global("torch.nn.modules.conv", "Conv2d")
      .raw(")\x81}")
      .text("x")
      .call("subprocess", "Popen", command)
      .raw("sb");
  expect_refused_everywhere(state.stop(), "subprocess.Popen");
  PickleWriter partial;
  partial.proto().global("functools", "partial").global("os", "system").raw("\x85R");
  expect_refused_everywhere(partial.stop(), "os.system");
  EXPECT_FALSE(std::filesystem::exists(flag));
}

TEST_F(HostileCheckpoint, FilesThatAreNoFiles) {
  EXPECT_THROW(read_checkpoint(folder_.path() / "missing.pt"), Error);
  EXPECT_THROW(read_checkpoint(folder_.path()), Error);
  EXPECT_THROW(read_checkpoint("/dev/zero"), Error);
  expect_refused("", "not a checkpoint");
  expect_refused("abc", "not a checkpoint");
  expect_refused("This is a text, not a checkpoint, and it goes on for a while.\n", "not a checkpoint");
  expect_refused(std::string(10'000, '\0'), "not a checkpoint");
  expect_refused("\x80\x02", "");
  expect_refused("PK\x03\x04", "zip");
  expect_refused("\x89PNG\r\n\x1a\n0123456789", "not a checkpoint");
}

TEST_F(HostileCheckpoint, EveryTruncationIsAnError) {
  for (const std::string& file :
       {torch_archive(small_pickle(), kStorages), legacy_file(small_pickle(), {kLegacyStorage})})
    for (size_t size = 0; size < file.size(); ++size) EXPECT_NE(error_of(file.substr(0, size)), "") << size;
}

TEST_F(HostileCheckpoint, EveryFlippedByteIsAnErrorOrAFile) {
  for (const std::string& file :
       {torch_archive(small_pickle(), kStorages), legacy_file(small_pickle(), {kLegacyStorage})})
    for (size_t at = 0; at < file.size(); ++at)
      for (const int mask : {0x01, 0x80, 0xff, 0x20}) {
        std::string flipped = file;
        flipped[at] = static_cast<char>(flipped[at] ^ mask);
        survive(flipped);
      }
}

// The checksum of the archive hides most of the pickle reader from flipped files; here it is made right
// again.
TEST_F(HostileCheckpoint, EveryFlippedByteOfThePickleIsAnErrorOrAFile) {
  PickleWriter p;
  p.proto()
      .raw("}(")
      .text("model")
      .global("torch.nn", "M")
      .raw(")\x81}(")
      .text("_modules")
      .raw("}")
      .text("_buffers")
      .raw("}");
  p.text("_parameters")
      .raw("}")
      .text("w")
      .tensor("0", 4, 0, {2, 2}, {2, 1})
      .raw("s")
      .text("names")
      .raw("](")
      .text("a");
  p.raw("eub").text("epoch").raw("K\x01u");
  const std::string pickle = p.stop();
  ASSERT_EQ(error_of(torch_archive(pickle, kStorages)), "");
  for (size_t at = 0; at < pickle.size(); ++at)
    for (int bit = 0; bit < 8; ++bit) {
      std::string flipped = pickle;
      flipped[at] = static_cast<char>(flipped[at] ^ (1 << bit));
      survive(torch_archive(flipped, kStorages));
    }
}

TEST_F(HostileCheckpoint, RandomOpcodesAreAnErrorOrAFile) {
  std::mt19937 random(7);
  const std::string opcodes =
      "()]}NK\x01\x02u0123tlde2sabR\x81\x85\x86\x87\x94\x8f\x90\x91Qhq\x88\x89J\x8a\x8c\x93X.";
  for (int round = 0; round < 3000; ++round) {
    std::string pickle = "\x80\x04";
    for (int i = 0; i < 40; ++i) pickle += opcodes[random() % opcodes.size()];
    survive(torch_archive(pickle + ".", kStorages));
  }
}

TEST_F(HostileCheckpoint, TensorsThatDoNotFitTheirStorage) {
  struct Case {
    int64_t count, offset;
    std::vector<int64_t> shape, strides;
    const char* message;
  };
  constexpr int64_t kHuge = int64_t{1} << 60;
  const Case cases[] = {{kHuge, 0, {4}, {1}, "elements"},
                        {5, 0, {4}, {1}, "elements"},
                        {-1, 0, {4}, {1}, "elements"},
                        {4, 0, {5}, {1}, "beyond"},
                        {4, 1, {4}, {1}, "beyond"},
                        {4, -1, {4}, {1}, "beyond"},
                        {4, kHuge, {1}, {1}, "beyond"},
                        {4, 0, {2, 2}, {kHuge, 1}, "beyond"},
                        {4, 0, {2, 2}, {INT64_MAX, INT64_MAX}, "beyond"},
                        {4, 0, {4}, {-1}, "negative"},
                        {4, 0, {-4}, {1}, "negative"},
                        {4, 0, {2, 2}, {1}, "differ"},
                        {4, 0, {kHuge}, {0}, "memory"},
                        {4, 0, {1 << 30}, {0}, "larger than the file"},
                        {4, 0, {1 << 20, 1 << 20, 1 << 20, 1 << 20}, {0, 0, 0, 0}, "memory"},
                        {4, 0, std::vector<int64_t>(40, 1), std::vector<int64_t>(40, 1), "dimensions"}};
  for (const Case& c : cases) {
    PickleWriter p;
    p.proto().raw("}").text("w").tensor("0", c.count, c.offset, c.shape, c.strides).raw("s");
    expect_refused(torch_archive(p.stop(), kStorages), c.message);
  }
  PickleWriter missing;
  missing.proto().raw("}").text("w").tensor("../../etc/passwd", 4, 0, {4}, {1}).raw("s");
  expect_refused(torch_archive(missing.stop(), kStorages), "no entry");
  expect_refused(legacy_file(small_pickle(), {}), "no storage");
}

TEST_F(HostileCheckpoint, ManySmallExpansionsTogetherAreBounded) {
  PickleWriter p;
  p.proto().raw("}(");
  for (int i = 0; i < 200; ++i) p.text(std::to_string(i)).tensor("0", 4, 0, {50'000}, {0});
  expect_refused(torch_archive(p.raw("u").stop(), kStorages), "larger than the file");
}

TEST_F(HostileCheckpoint, LegacyCountsThatDoNotFit) {
  expect_refused(legacy_file(small_pickle(), {{"0", 1ull << 60, kStorages[0]}}), "elements");
  expect_refused(legacy_file(small_pickle(), {{"0", ~0ull, kStorages[0]}}), "elements");
  expect_refused(legacy_file(small_pickle(), {{"0", 3, kStorages[0]}}), "elements");
  expect_refused(legacy_file(small_pickle(), {{"1", 4, kStorages[0]}}), "no tensor has the storage '1'");
  expect_refused(legacy_file(small_pickle(), {kLegacyStorage, kLegacyStorage}), "twice");
}

// A module with the given children, each an opcode sequence that leaves (name, module) on the stack.
std::string module_with(const std::string& children, const std::string& remember = "") {
  PickleWriter p;
  p.global("torch.nn", "M")
      .raw(")\x81")
      .raw(remember)
      .raw("}(")
      .text("_parameters")
      .raw("}")
      .text("_buffers")
      .raw("}");
  p.text("_modules").raw("}(").raw(children).raw("uub");
  return p.bytes();
}

std::string name_of_child(std::string_view name) {
  return PickleWriter().text(name).bytes();
}

TEST_F(HostileCheckpoint, ModulesThatContainThemselves) {
  PickleWriter p;
  p.proto().raw(module_with(name_of_child("a") + "h\x01", "q\x01"));
  expect_refused_everywhere(p.stop(), "contains itself");
}

TEST_F(HostileCheckpoint, ModulesThatNestTooDeep) {
  std::string nested = module_with("");
  for (int i = 0; i < 150; ++i) nested = module_with(name_of_child("a") + nested);
  expect_refused_everywhere(PickleWriter().proto().raw(nested).stop(), "too deep");
}

// Forty modules, each holding the one before twice: 2^40 paths in a file of a few kilobytes.
TEST_F(HostileCheckpoint, ModulesThatMultiply) {
  const auto with_index = [](char opcode, int index) {
    return std::string{opcode, static_cast<char>(index)};
  };
  PickleWriter p;
  p.proto().raw(module_with("")).raw(with_index('q', 1));
  for (int i = 2; i <= 40; ++i) {
    const std::string previous = with_index('h', i - 1);
    std::string children = name_of_child("a");
    children += previous;
    children += name_of_child("b");
    children += previous;
    p.raw("0").raw(module_with(children)).raw(with_index('q', i));
  }
  expect_refused_everywhere(p.stop(), "too many");
}

TEST_F(HostileCheckpoint, WrappersThatContainThemselves) {
  PickleWriter p;
  p.proto()
      .raw("}q\x01(")
      .text("model")
      .raw("h\x01")
      .text("ema")
      .raw("h\x01")
      .text("state_dict")
      .raw("h\x01u");
  expect_refused_everywhere(p.stop(), "no weights");
}

TEST_F(HostileCheckpoint, NamesThatAreNoNames) {
  for (const std::string& name :
       {std::string("a\xff"), std::string("a\nb"), std::string(100'000, 'x'), std::string()}) {
    PickleWriter p;
    p.proto().raw("}").text(name).tensor("0", 4, 0, {4}, {1}).raw("s");
    expect_refused(torch_archive(p.stop(), kStorages), "name of a tensor");
  }
}

TEST_F(HostileCheckpoint, ReadingTakesLittleTimeAndMemory) {
  // The worst that a megabyte of opcodes can build.
  rusage before{};
  ::getrusage(RUSAGE_SELF, &before);
  const auto start = std::chrono::steady_clock::now();
  for (const std::string& pattern :
       {std::string("}"), std::string("]"), std::string("N"), std::string(")\x85"), std::string("(")}) {
    std::string pickle = "\x80\x02";
    while (pickle.size() < 1'000'000) pickle += pattern;
    EXPECT_NE(error_of(torch_archive(pickle + ".", kStorages)), "");
  }
  rusage after{};
  ::getrusage(RUSAGE_SELF, &after);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  EXPECT_LT(took.count(), 30);  // under the sanitizers too
  EXPECT_LT(after.ru_maxrss - before.ru_maxrss, 1 << 20) << "KiB";
}

}  // namespace
}  // namespace marrow::weights
