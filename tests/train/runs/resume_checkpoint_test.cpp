// A checkpoint that is damaged, or of another run, is refused with what is wrong with it.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <functional>

#include "marrow/base/error.h"
#include "marrow/model/zoo.h"
#include "marrow/train/train_checkpoint.h"
#include "marrow/weights/safetensors.h"
#include "train/runs/whole_runs.h"
#include "train/tiny_run.h"

namespace marrow::train {
namespace {

namespace fs = std::filesystem;

class ResumeCheckpoint : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    tiny_ = new testing::TinyRun;
    TrainOptions options = tiny_->options("run");
    options.epochs = 3;
    options.save_period = 1;
    run_training(options);
    // A checkpoint in the middle takes the place of the finished one.
    fs::copy_file(tiny_->weights("run", "epoch1"), last(), fs::copy_options::overwrite_existing);
    good_ = new weights::SafetensorsFile(weights::read_safetensors(last()));
  }
  static void TearDownTestSuite() {
    delete good_;
    delete tiny_;
  }
  static fs::path last() { return tiny_->weights("run", "last"); }

  static std::string resumed() {
    try {
      resume_training(tiny_->run("run"), [](TrainOptions&) {});
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }
  // What a resumed run says to the good checkpoint after `change`.
  static std::string refused(const std::function<void(weights::SafetensorsFile&)>& change) {
    weights::SafetensorsFile file = *good_;
    change(file);
    weights::write_safetensors(last(), file.tensors, file.metadata);
    return resumed();
  }
  static std::string with_state(const std::string& from, const std::string& to) {
    return refused([&](weights::SafetensorsFile& file) {
      std::string& state = file.metadata.at("train.state");
      const size_t key = state.find("\"" + from + "\":");
      ASSERT_NE(key, std::string::npos) << state;
      const size_t begin = key + from.size() + 3;
      size_t end = begin;
      for (int depth = 0; depth > 0 || (state[end] != ',' && state[end] != '}'); ++end)
        depth += (state[end] == '[' || state[end] == '{') - (state[end] == ']' || state[end] == '}');
      state.replace(begin, end - begin, to);
    });
  }

  static inline testing::TinyRun* tiny_ = nullptr;
  static inline weights::SafetensorsFile* good_ = nullptr;
};

TEST_F(ResumeCheckpoint, RefusesNumbersThatCannotBe) {
  const struct {
    const char *key, *value, *message;
  } kCases[] = {
      {"epoch", "-1", "'epoch' is -1"},
      {"epoch", "4", "'epoch' is 4"},
      {"epoch", "1e300", "'epoch' is 1e+300"},
      {"epoch", "\"1\"", "'epoch' is \"1\""},
      {"epochs", "0", "'epochs' is 0"},
      {"epochs", "18446744073709551615", "'epochs' is 18446744073709551615"},
      {"epochs", "2000000000", "'epochs' is 2000000000"},
      {"next_batch", "-3", "'next_batch' is -3"},
      {"next_batch", "4", "contradicts itself"},
      {"next_batch", "9223372036854775807", "'next_batch' is"},
      {"last_step", "900", "contradicts itself"},
      {"last_step", "-2", "'last_step' is -2"},
      {"loss_scale", "null", "'loss_scale' is null"},
      {"loss_scale", "0", "'loss_scale' is 0"},
      {"momentum_product", "-1", "'momentum_product' is -1"},
      {"optimizer_steps", "1e18", "'optimizer_steps' is"},
      {"ema_updates", "-7", "'ema_updates' is -7"},
      {"best_fitness", "null", "'best_fitness' is null"},
      {"best_epoch", "77", "'best_epoch' is 77"},
      {"seconds", "-1", "'seconds' is"},
      {"recoveries", "-1", "'recoveries' is -1"},
      {"loss_sums", "[1]", "it has 1 loss,"},
      {"validations", "{\"-1\":{}}", "names the epoch '-1'"},
      {"validations", "{\"1\":{\"metrics\":[]}}", "train.state"},
      {"validations", "{\"1\":{\"metrics\":[1],\"losses\":[1],\"fitness\":1}}", "has 2 numbers instead of 7"},
      {"epoch", "[[[[[[[[[[", "train.state"},
  };
  for (const auto& c : kCases) {
    SCOPED_TRACE(fmt::format("{} = {}", c.key, c.value));
    const std::string said = with_state(c.key, c.value);
    EXPECT_NE(said.find(c.message), std::string::npos) << said;
  }
}

TEST_F(ResumeCheckpoint, RefusesTensorsThatDoNotFit) {
  EXPECT_NE(refused([](auto& f) {
              f.tensors.erase("train.weights/model.0.conv.weight");
            }).find("model.0.conv.weight"),
            std::string::npos);
  EXPECT_NE(refused([](auto& f) { f.tensors.erase("model.0.conv.weight"); }).find("model.0.conv.weight"),
            std::string::npos);
  EXPECT_NE(refused([](auto& f) {
              f.tensors.at("train.weights/model.0.conv.weight") = Tensor({2, 2});
            }).find("model.0.conv.weight"),
            std::string::npos);
  EXPECT_NE(refused([](auto& f) {
              f.tensors.at("train.optimizer/momentum/model.0.conv.weight") = Tensor({2, 2});
            }).find("model.0.conv.weight"),
            std::string::npos);
  EXPECT_NE(refused([](auto& f) {
              f.tensors.at("train.weights/model.0.conv.weight") =
                  Tensor(f.tensors.at("train.weights/model.0.conv.weight").shape(), DType::kUInt8);
            }).find("model.0.conv.weight"),
            std::string::npos);
  EXPECT_NE(refused([](auto& f) {
              f.tensors.emplace("train.optimizer/momentum/model.99", Tensor({1}));
            }).find("model.99"),
            std::string::npos);
}

TEST_F(ResumeCheckpoint, RefusesOtherModelsClassesAndSettings) {
  EXPECT_NE(refused([](auto& f) { f.metadata.erase("train.options"); }).find("cannot be resumed"),
            std::string::npos);
  EXPECT_NE(refused([](auto& f) { f.metadata.at("train.options") = R"({"epochs":"-4"})"; }).find("epochs"),
            std::string::npos);
  EXPECT_NE(refused([](auto& f) { f.metadata.at("train.options") = R"(["a"])"; }).find("train.options"),
            std::string::npos);
  const model::Model six = model::make_model((tiny_->folder / "tiny.yaml").string(), {}, {.classes = 6});
  const std::string other_classes = refused([&](weights::SafetensorsFile& f) {
    const Weights weights = initialize(six.graph, 0);
    for (const auto& [key, text] : model::checkpoint_metadata(six)) f.metadata[key] = text;
    f.tensors = weights;
    for (const auto& [name, tensor] : weights) f.tensors.emplace("train.weights/" + name, tensor);
  });
  EXPECT_NE(other_classes.find("2 classes, but the checkpoint's model 6"), std::string::npos)
      << other_classes;
}

TEST_F(ResumeCheckpoint, RefusesAnotherProgramsFile) {
  const fs::path file = tiny_->folder / "yolov8n.pt";
  write_file_atomically(file, "PK");
  std::string message;
  try {
    resume_training(file, [](TrainOptions&) {});
  } catch (const Error& error) {
    message = error.what();
  }
  EXPECT_NE(message.find("cannot be resumed. To train its model further: --model " + file.string()),
            std::string::npos)
      << message;
}

TEST_F(ResumeCheckpoint, RefusesACutFile) {
  weights::write_safetensors(last(), good_->tensors, good_->metadata);
  const std::string whole = read_file(last(), 100 << 20);
  for (const size_t size : {size_t{0}, size_t{7}, size_t{100}, whole.size() / 2, whole.size() - 1}) {
    write_file_atomically(last(), whole.substr(0, size));
    EXPECT_NE(resumed().find("last.safetensors"), std::string::npos) << size;
  }
}

TEST_F(ResumeCheckpoint, BeginsTheEpochAnewWhenTheDatasetHasGrown) {
  weights::write_safetensors(last(), good_->tensors, good_->metadata);
  const fs::path images = tiny_->folder / "data" / "images" / "train";
  const fs::path first = *fs::directory_iterator(images);
  for (int i = 0; i < 5; ++i)
    fs::copy_file(first, images / fmt::format("more{}{}", i, first.extension().string()));
  ::testing::internal::CaptureStderr();
  EXPECT_EQ(resumed(), "");
  EXPECT_NE(::testing::internal::GetCapturedStderr().find("an epoch had 3 batches and has 4 now"),
            std::string::npos);
  for (int i = 0; i < 5; ++i) fs::remove(images / fmt::format("more{}{}", i, first.extension().string()));
}

TEST_F(ResumeCheckpoint, SaysThatNoRunIsThere) {
  fs::create_directories(tiny_->folder / "empty");
  try {
    resume_training(tiny_->folder / "empty", [](TrainOptions&) {});
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("no run has begun here"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace marrow::train
