// Models for images of other numbers of channels, and of 16 bits.
#include <gtest/gtest.h>

#include "marrow/evaluate/engine_predictor.h"
#include "marrow/evaluate/open_split.h"
#include "marrow/image/decode.h"
#include "marrow/loader/detection_loader.h"
#include "marrow/model/import.h"
#include "marrow/model/zoo.h"
#include "marrow/predict/detector.h"
#include "marrow/train/first_convolution.h"
#include "marrow/train/start_model.h"
#include "marrow/weights/safetensors.h"
#include "support/expect_says.h"
#include "support/message_of.h"
#include "train/runs/whole_runs.h"
#include "train/tiny_classes.h"
#include "train/tiny_run.h"

namespace marrow::train {
namespace {

constexpr const char* kFirst = "model.0.conv.weight";

ImageReading reading_of(int channels, int bits = 8, SampleRange range = {}) {
  return {{channels, bits}, range};
}

class ChannelsOfModels : public ::testing::Test {
 protected:
  ChannelsOfModels() { write_file_atomically(folder_ / "tiny.yaml", testing::kTinyModel); }

  model::TrainedModel start(const std::string& file, const ImageReading& reading) {
    TrainOptions options;
    options.model = file;
    said_.clear();
    return start_model(options, {"a", "b"}, reading,
                       [this](const std::string& line) { said_ += line + "\n"; });
  }
  std::string yaml() const { return (folder_ / "tiny.yaml").string(); }

  testing::TemporaryFolder folder_;
  std::string said_;
};

TEST_F(ChannelsOfModels, AreThoseOfTheDatasetAndStayInTheFile) {
  for (const ImageReading& reading :
       {reading_of(3), reading_of(1), reading_of(4), reading_of(3, 16), reading_of(12, 16, {100, 4095})}) {
    const model::TrainedModel fresh = start(yaml(), reading);
    const std::filesystem::path file = folder_ / "fresh.safetensors";
    model::save_checkpoint(file, fresh.model, fresh.weights);
    const model::TrainedModel stored = model::load_trained(file);
    EXPECT_EQ(image_reading(stored.model.graph), reading) << to_string(reading);
    EXPECT_EQ(stored.weights.at(kFirst).dim(1), reading.samples.channels);
    // The file is one that a program without 16 bits refuses, rather than reads as 8.
    EXPECT_EQ(weights::read_safetensors(file).metadata.at("marrow"), reading.samples.bits == 16 ? "3" : "1");
    // Its next training decides anew.
    EXPECT_EQ(image_reading(start(file.string(), reading_of(3)).model.graph), reading_of(3));
    EXPECT_EQ(input_format(start(file.string(), reading_of(3)).model.graph), InputFormat());
  }
}

TEST_F(ChannelsOfModels, TakeTheFirstConvolutionsOfAnotherNumber) {
  const model::TrainedModel three = start(yaml(), reading_of(3));
  const std::string file = (folder_ / "three.safetensors").string();
  model::save_checkpoint(file, three.model, randomize(three.model.graph, 7));
  const Tensor from = model::load_trained(file).weights.at(kFirst);
  const auto at = [](const Tensor& tensor, int64_t o, int64_t c, int64_t k) {
    return tensor.values()[static_cast<size_t>((o * tensor.dim(1) + c) * 9 + k)];
  };
  const Tensor one = start(file, reading_of(1)).weights.at(kFirst);
  EXPECT_SAYS(said_, "its first convolution reads 3 channels, here 1: their sum is taken");
  EXPECT_SAYS(said_, "took all");
  const Tensor two = start(file, reading_of(2)).weights.at(kFirst);
  const Tensor five = start(file, reading_of(5)).weights.at(kFirst);
  EXPECT_SAYS(said_, "its first convolution reads 3 channels, here 5: 3 are taken");
  const Tensor drawn = start(yaml(), reading_of(5)).weights.at(kFirst);
  for (int64_t o = 0; o < from.dim(0); ++o)
    for (int64_t k = 0; k < 9; ++k) {
      EXPECT_FLOAT_EQ(at(one, o, 0, k), at(from, o, 0, k) + at(from, o, 1, k) + at(from, o, 2, k));
      for (int64_t c = 0; c < 5; ++c) {
        if (c < 2) {
          EXPECT_EQ(at(two, o, c, k), at(from, o, c, k));
        }
        EXPECT_EQ(at(five, o, c, k), c < 3 ? at(from, o, c, k) : at(drawn, o, c, k));
      }
    }
}

TEST_F(ChannelsOfModels, OfAPublishedNameAreTheDatasetsToo) {
  EXPECT_EQ(image_reading(start("yolov8n", reading_of(6, 16)).model.graph), reading_of(6, 16));
  EXPECT_EQ(image_reading(start("starnet_s050", reading_of(1)).model.graph), reading_of(1));
}

// Pixels of every kind, from the file to the network, in training as in the engine.
class TrainedChannels : public ::testing::TestWithParam<SampleFormat> {};

TEST_P(TrainedChannels, AreSeenAlikeInTrainingAndInTheEngine) {
  const testing::TinyRun tiny;
  TrainOptions options = tiny.options("run");
  data::write_synth_dataset(tiny.folder / "bands", {.images = 8,
                                                    .val_share = 0.5,
                                                    .image_size = 96,
                                                    .objects = 3,
                                                    .classes = {"disc", "square"},
                                                    .samples = GetParam()});
  options.data = (tiny.folder / "bands" / "data.yaml").string();
  options.epochs = 1;
  options.mixup = options.cutmix = 0.5;
  options.multi_scale = 0.5;
  EXPECT_EQ(run_training(options), RunOutcome::kFinished);
  const model::TrainedModel trained = model::load_trained(tiny.weights("run", "last"));
  const data::Dataset dataset = data::read_dataset(options.data);
  EXPECT_EQ(dataset.reading.samples, GetParam());
  EXPECT_EQ(image_reading(trained.model.graph), dataset.reading);

  const evaluate::OpenedSplit split =
      evaluate::open_split(dataset, "val", {.image_size = 64, .reading = image_reading(trained.model.graph)});
  loader::DetectionLoader loader(split.images, {.batch = 4});
  const loader::DetectionBatch batch = *loader.next();
  const Value output = trained.model.graph.find("output0");
  const Tensor by_executor = testing::executor_of(trained, loss::DetectionLossOptions())
                                 ->evaluate_average({batch.images, batch.targets}, std::span(&output, 1))
                                 .outputs.front();
  const Tensor by_engine = evaluate::EnginePredictor(trained, {.threads = 1})(batch.images);
  EXPECT_LT(relative_difference(by_engine, by_executor), 1e-4);

  predict::DetectorOptions how{.size = {64, 64}};
  how.nms.confidence = 0;
  predict::Detector detector(trained.model.graph, trained.weights, how);
  const image::Image image =
      image::decode_image_file(split.images->labels(0).path, {.fit = {}, .reading = dataset.reading}).image;
  EXPECT_FALSE(detector.detect(image).detections.empty());
  if (GetParam() != SampleFormat()) {
    EXPECT_SAYS(testing::message_of([&] { detector.detect(image::Image(64, 64)); }, ErrorKind::kUsage),
                "the image has 3 channels of 8 bits; this model wants " + to_string(GetParam()));
  }
}

INSTANTIATE_TEST_SUITE_P(Formats, TrainedChannels,
                         ::testing::Values(SampleFormat{3, 8}, SampleFormat{1, 8}, SampleFormat{4, 8},
                                           SampleFormat{1, 16}, SampleFormat{3, 16}, SampleFormat{4, 16}),
                         [](const auto& info) {
                           return std::to_string(info.param.channels) + "x" + std::to_string(info.param.bits);
                         });

TEST(TrainedChannels, OfClassifiersAreReadAsTheDatasetSays) {
  const testing::TinyClasses tiny;
  write_file_atomically(tiny.folder / "grey.yaml",
                        "path: data\ntrain: train\nval: val\nformat: folders\nchannels: 1\nbits: 16\nnames: "
                        "[blue, green, red]\n");
  TrainOptions options = tiny.options("grey");
  options.data = (tiny.folder / "grey.yaml").string();
  options.epochs = 1;
  options.mixup = 0.5;
  options.cutmix = 0.5;
  EXPECT_EQ(run_training(options), RunOutcome::kFinished);
  EXPECT_EQ(image_reading(model::load_trained(tiny.weights("grey", "last")).model.graph), reading_of(1, 16));
}

}  // namespace
}  // namespace marrow::train
