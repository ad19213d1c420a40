// A run whose dataset lies elsewhere when it goes on.
#include <algorithm>

#include "support/expect_says.h"
#include "support/message_of.h"
#include "train/runs/whole_runs.h"
#include "train/tiny_run.h"

namespace marrow::train {
namespace {

namespace fs = std::filesystem;
using testing::message_of;

class MovedData : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    tiny_ = std::make_unique<testing::TinyRun>();
    TrainOptions options = tiny_->options("straight");
    options.save_period = 1;
    run_training(options);
    fs::rename(tiny_->folder / "data", tiny_->folder / "elsewhere");
  }
  static void TearDownTestSuite() { tiny_.reset(); }

  // As killed after the second of four epochs.
  static fs::path killed(const std::string& name) {
    fs::create_directories(tiny_->run(name) / "weights");
    fs::copy_file(tiny_->weights("straight", "epoch1"), tiny_->weights(name, "last"));
    fs::copy_file(tiny_->weights("straight", "best"), tiny_->weights(name, "best"));
    fs::copy_file(tiny_->run("straight") / "results.csv", tiny_->run(name) / "results.csv");
    return tiny_->run(name);
  }
  static RunOutcome resume(const fs::path& run, const std::string& data) {
    return resume_training(run, [&](TrainOptions& options) {
      if (!data.empty()) options.data = (tiny_->folder / data).string();
    });
  }

  static inline std::unique_ptr<testing::TinyRun> tiny_;
};

TEST_F(MovedData, SaysHowToNameTheNewPlace) {
  const fs::path run = killed("unnamed");
  EXPECT_SAYS(message_of([&] { resume(run, ""); }),
              "data/data.yaml: the run's dataset is not there any more. If it has moved: --resume " +
                  run.string() + " --data NEW");
}

TEST_F(MovedData, GoesOnToTheSameBytesWhereTheContentIsTheSame) {
  ASSERT_EQ(resume(killed("moved"), "elsewhere/data.yaml"), RunOutcome::kFinished);
  EXPECT_EQ(tiny_->bytes("moved", "last"), tiny_->bytes("straight", "last"));
}

TEST_F(MovedData, IsRefusedWhereAnImageOrALabelDiffers) {
  fs::copy(tiny_->folder / "elsewhere", tiny_->folder / "other", fs::copy_options::recursive);
  const fs::path labels = tiny_->folder / "other/labels/train", images = tiny_->folder / "other/images/train";
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(labels)) files.push_back(entry.path());
  std::ranges::sort(files);
  const std::string before = read_file(files[0], 1 << 20);
  const fs::path run = killed("differs");
  const auto refused = [&] { return message_of([&] { resume(run, "other/data.yaml"); }, ErrorKind::kUsage); };
  write_file_atomically(files[0], "0 0.5 0.5 0.25 0.25\n" + before);
  EXPECT_SAYS(refused(), "its images and labels are not those that the run began with");
  write_file_atomically(files[0], before);
  for (const auto& entry : fs::directory_iterator(images)) {
    fs::rename(entry.path(), entry.path().parent_path() / ("z" + entry.path().filename().string()));
    break;
  }
  EXPECT_SAYS(refused(), "its images and labels are not those that the run began with");
}

}  // namespace
}  // namespace marrow::train
