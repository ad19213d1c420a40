// Whole runs from shards.
#include <gtest/gtest.h>

#include <fstream>
#include <thread>

#include "marrow/base/random.h"
#include "marrow/data/dataset.h"
#include "marrow/data/tools/shard.h"
#include "marrow/evaluate/open_split.h"
#include "marrow/image/encode.h"
#include "marrow/train/make_task.h"
#include "marrow/train/start_model.h"
#include "support/expect_says.h"
#include "support/message_of.h"
#include "train/runs/program_run.h"
#include "train/runs/runs_together.h"
#include "train/tiny_classes.h"
#include "train/tiny_run.h"

namespace marrow::train {
namespace {

namespace fs = std::filesystem;
using testing::expect_near_runs;
using testing::run_together;
using testing::TinyRun;
using testing::TrainProgram;

// The dataset of a run's options, in shards of three images.
void shard(TrainOptions& options, const fs::path& out) {
  if (!fs::exists(out)) data::shard_dataset(data::read_dataset(options.data), out, {.samples = 3});
  options.data = (out / "data.yaml").string();
}

TEST(ShardedRun, TenStepsOfSeveralWorkersAreThoseOfOne) {
  const TinyRun tiny;
  TrainOptions options = tiny.options("one");
  shard(options, tiny.folder / "shards");
  options.epochs = 5;
  options.batch = options.nbs = 8;  // two streams, and two batches an epoch
  options.sync_bn = true;
  run_training(options);
  EXPECT_EQ(tiny.results("one").size(), 6u);
  for (const int workers : {2, 3}) {
    options.name = "of" + std::to_string(workers);
    run_together(workers, options);
    expect_near_runs(tiny, "one", options.name, 1e-4);
  }
}

TEST(ShardedRun, ClassifiersToo) {
  const testing::TinyClasses tiny;
  TrainOptions options = tiny.options("one");
  shard(options, tiny.folder / "shards");
  options.sync_bn = true;
  run_training(options);
  options.name = "two";
  run_together(2, options);
  expect_near_runs(tiny, "one", "two", 1e-4);
}

TEST(ShardedRun, GivesTheSameBytesForTheSameSeed) {
  const TinyRun tiny;
  TrainOptions options = tiny.options("");
  shard(options, tiny.folder / "shards");
  testing::expect_same_bytes_for_the_same_seed(tiny, options);
}

TEST(ShardedRun, MeasuresWhatThePlainDatasetDoes) {
  const TinyRun tiny;
  const auto silent = [](std::string_view) {};
  const auto measure = [&](TrainOptions options) {
    const data::Dataset dataset = data::read_dataset(options.data);
    model::TrainedModel trained = start_model(options, dataset.names, dataset.reading, silent);
    settle(options, trained.model, dataset, silent);
    const auto task = make_task(options, trained.model, dataset, silent);
    return task->validate(*testing::executor_of(trained, task->objective()), false, [] { return false; })
        .result;
  };
  TrainOptions options = tiny.options("");
  const ValidationResult plain = measure(options);
  shard(options, tiny.folder / "shards");
  const ValidationResult sharded = measure(options);
  EXPECT_EQ(sharded.metrics, plain.metrics);
  EXPECT_EQ(sharded.losses, plain.losses);
}

TEST(ShardedRun, RefusesWhatNeedsAllImagesAtOnce) {
  const TinyRun tiny;
  TrainOptions options = tiny.options("refused");
  shard(options, tiny.folder / "shards");
  const auto says = [&](const std::function<void(TrainOptions&)>& change, const std::string& part) {
    TrainOptions changed = options;
    change(changed);
    EXPECT_SAYS(testing::message_of([&] { run_training(changed); }), part);
  };
  says([](TrainOptions& o) { o.rect = true; }, "rect: not with");
  says([](TrainOptions& o) { o.tile = 64; }, "tile: not with");
  says([](TrainOptions& o) { o.cls_pw = 0.5; }, "cls_pw: not with");
  says([](TrainOptions& o) { o.fraction = {0.5}; }, "fraction (name fewer shards): not with");
  says([](TrainOptions& o) { o.cache = "ram"; }, "cache_limit says how much is held");
  fs::remove(tiny.folder / "shards/train-000001.tar");
  says([](TrainOptions&) {}, "train-000001.tar: cannot open");
}

TEST(ShardedRun, SaysThatIndexesAreMade) {
  const TinyRun tiny;
  TrainOptions options = tiny.options("");
  shard(options, tiny.folder / "shards");
  const auto said = [&] {
    std::string lines;
    evaluate::open_split(data::read_dataset(options.data), "train",
                         {.stream = true, .say = [&](const std::string& line) { lines += line + "\n"; }});
    return lines;
  };
  EXPECT_EQ(said().find("without an index"), std::string::npos);
  for (const fs::directory_entry& entry : fs::directory_iterator(tiny.folder / "shards"))
    if (entry.path().extension() == ".index") fs::remove(entry.path());
  EXPECT_SAYS(said(), "without an index; each is read through, this once\n");
  EXPECT_EQ(said().find("without an index"), std::string::npos);
}

class ShardedProgram : public testing::ProgramRun {
 protected:
  // Noise, which takes as many bytes in a file as in memory.
  fs::path write_noise(const std::string& name, int images, int side) const {
    const fs::path root = tiny_.folder / name;
    for (const char* kind : {"images", "labels"})
      for (const char* split : {"train", "val"}) fs::create_directories(root / kind / split);
    for (int i = -2; i < images; ++i) {
      image::Image picture(side, side);
      Random random(static_cast<uint64_t>(i + 2), "noise");
      for (size_t at = 0; at < picture.byte_size(); ++at)
        picture.row(0)[at] = static_cast<uint8_t>(random.bits());
      const std::string split = i < 0 ? "val" : "train", stem = std::to_string(i + 10);
      image::write_image(root / "images" / split / (stem + ".png"), picture.pixels());
      std::ofstream(root / "labels" / split / (stem + ".txt")) << i % 2 * (i > 0) << " 0.5 0.5 0.25 0.25\n";
    }
    write_file_atomically(root / "data.yaml", "train: images/train\nval: images/val\nnames: [a, b]\n");
    return root / "data.yaml";
  }

  // The most memory that a run of the options had.
  double peak_megabytes(const TrainOptions& options, const std::string& name) const {
    TrainProgram program(begin(options, name), log(name));
    double peak = 0;
    while (!program.ended()) {
      std::ifstream status("/proc/" + std::to_string(program.process()) + "/status");
      for (std::string line; std::getline(status, line);)
        if (line.starts_with("VmHWM:")) peak = std::max(peak, std::stod(line.substr(6)) / 1024);
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    EXPECT_EQ(program.wait(), 0) << program.said();
    return peak;
  }
};

// Ten times the limit take no more memory than what fits, in as many steps; kept whole, as a plain dataset,
// they take it all.
TEST_F(ShardedProgram, MemoryIsBoundedByTheLimit) {
  constexpr double kLimit = 4;  // MB
  constexpr int kSide = 320, kFit = 13;
  TrainOptions options = tiny_.options("");
  options.imgsz = kSide;
  options.val = false;
  const fs::path large = write_noise("large", 10 * kFit, kSide), small = write_noise("small", kFit, kSide);
  options.data = large.string();
  options.epochs = 2;
  const double whole = peak_megabytes(options, "whole");
  options.cache_limit = kLimit;
  const auto sharded = [&](const fs::path& yaml, const std::string& name) {
    data::shard_dataset(data::read_dataset(yaml), tiny_.folder / name, {.samples = 10});
    uintmax_t bytes = 0;
    for (const auto& entry : fs::directory_iterator(tiny_.folder / name))
      if (entry.path().filename().string().starts_with("train-")) bytes += entry.file_size();
    EXPECT_GE(static_cast<double>(bytes) / 1e6, name == "large_shards" ? 9.5 * kLimit : 0.9 * kLimit);
    options.data = (tiny_.folder / name / "data.yaml").string();
    return peak_megabytes(options, "run_" + name);
  };
  const double streamed = sharded(large, "large_shards");
  options.epochs *= 10;
  const double fits = sharded(small, "small_shards");
  RecordProperty("whole_mb", std::to_string(whole));
  RecordProperty("fits_mb", std::to_string(fits));
  RecordProperty("streamed_mb", std::to_string(streamed));
  EXPECT_LT(streamed, fits + 2 * kLimit);
  EXPECT_GT(whole, streamed + 5 * kLimit);
}

TEST_F(ShardedProgram, KilledItEndsWithTheSameBytes) {
  TrainOptions options = tiny_.options("");
  shard(options, tiny_.folder / "shards");
  options.mixup = 0.5;
  ASSERT_EQ(TrainProgram(begin(options, "straight"), log()).wait(), 0);
  int kills = 0;
  for (;; ++kills) {
    const bool begun = fs::exists(tiny_.run("killed") / "args.yaml");
    const Arguments first =
        begun ? resume("killed", {"--workers", std::to_string(kills % 3)}) : begin(options, "killed");
    testing::FolderEvents events({tiny_.run("killed"), tiny_.run("killed") / "weights"});
    TrainProgram program(first, log());
    while (!program.ended() && events.count() <= kills * 3) {
    }
    if (program.kill(SIGKILL) == 0) break;
    ASSERT_LT(kills, 100) << program.said();
  }
  EXPECT_GT(kills, 2);
  for (const char* file : {"best", "last"})
    EXPECT_TRUE(tiny_.bytes("straight", file) == tiny_.bytes("killed", file)) << file;
}

}  // namespace
}  // namespace marrow::train
