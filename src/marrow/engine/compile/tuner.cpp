#include "marrow/engine/compile/tuner.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <limits>
#include <sstream>

#include "marrow/base/error.h"
#include "marrow/base/files.h"
#include "marrow/base/tensor.h"
#include "marrow/base/user_folders.h"
#include "marrow/cpu/processor.h"

namespace marrow::engine {
namespace {

// Raised when implementations change so much that older choices mean nothing.
constexpr int kVersion = 1;
constexpr size_t kMostBytes = 4 << 20;
constexpr int kMostRuns = 5;
constexpr std::chrono::milliseconds kEnough{4};

// Lines of machine, layer and implementation with tabs between; other lines are passed over.
std::map<std::string, std::string> read_lines(const std::filesystem::path& file) {
  std::map<std::string, std::string> lines;  // implementations by machine and layer
  std::error_code ignored;
  if (file.empty() || !std::filesystem::exists(file, ignored)) return lines;
  try {
    std::istringstream text(read_file(file, kMostBytes));
    for (std::string line; std::getline(text, line);)
      if (const size_t tab = line.rfind('\t'); tab != std::string::npos)
        lines[line.substr(0, tab)] = line.substr(tab + 1);
  } catch (const Error&) {
    lines.clear();
  }
  return lines;
}

// The shortest time of a few runs, on numbers of its own.
double measure(const ConvImplementation& implementation, ConvDescription conv) {
  int64_t floats = 0;
  const auto place = [&](View& view) {
    view.image_stride = view.image_floats(conv.kernels->lanes);
    view.buffer = {Buffer::Where::kArena, 0, floats};
    floats += (view.images * view.image_stride + 15) / 16 * 16;
  };
  place(conv.src);
  place(conv.dst);
  if (conv.epilogue.join != Epilogue::Join::kNone) place(conv.epilogue.other);
  const StepPtr step = implementation.make(conv);
  Tensor memory({floats + step->shared_floats() + conv.pool->threads() * step->scratch_floats()});
  for (size_t i = 0; i < memory.values().size(); ++i)
    memory.values()[i] = static_cast<float>(i % 7) * 0.25f - 0.5f;
  RunContext context;
  context.arena = memory.values().data();
  context.shared = context.arena + floats;
  context.scratch = context.shared + step->shared_floats();
  context.scratch_floats = step->scratch_floats();
  context.pool = conv.pool;

  using Clock = std::chrono::steady_clock;
  step->run(context);  // the caches
  Clock::duration shortest = Clock::duration::max();
  Clock::duration total{};
  for (int run = 0; run < kMostRuns && total < kEnough; ++run) {
    const auto start = Clock::now();
    step->run(context);
    const auto took = Clock::now() - start;
    shortest = std::min(shortest, took);
    total += took;
  }
  return std::chrono::duration<double>(shortest).count();
}

}  // namespace

Tuner::Tuner(bool measures, std::filesystem::path file, cpu::ThreadPool& pool)
    : measures_(measures), file_(std::move(file)), pool_(pool) {
  if (!measures_) return;
  machine_ = fmt::format("{}, {} threads", cpu::processor_name(), pool.threads());
  const std::string prefix = machine_ + '\t';
  for (const auto& [line, implementation] : read_lines(file_))
    if (line.starts_with(prefix)) choices_[line.substr(prefix.size())] = implementation;
}

std::string Tuner::key(const ConvDescription& conv) const {
  const Epilogue& epilogue = conv.epilogue;
  return fmt::format("{} {}x{}/{} {}x{}x{} -> {}x{}x{} images {} epilogue {} {} {}",
                     cpu::simd_name(conv.kernels->level), conv.kernel, conv.kernel, conv.stride,
                     conv.src.channels, conv.src.height, conv.src.width, conv.dst.channels, conv.dst.height,
                     conv.dst.width, conv.dst.images, epilogue.before.kind, static_cast<int>(epilogue.join),
                     epilogue.after.kind);
}

const ConvImplementation& Tuner::choose(const ConvDescription& conv) {
  std::vector<const ConvImplementation*> rivals;
  for (const ConvImplementation& implementation : conv_implementations()) {
    if (!implementation.accepts(conv)) continue;
    rivals.push_back(&implementation);
    if (!implementation.has_rivals || !measures_) break;
  }
  if (rivals.size() == 1) return *rivals[0];
  std::string& choice = choices_[key(conv)];
  const auto known =
      std::ranges::find_if(rivals, [&](const ConvImplementation* rival) { return rival->name == choice; });
  if (known != rivals.end()) return **known;
  double best = std::numeric_limits<double>::infinity();
  const ConvImplementation* fastest = nullptr;
  for (const ConvImplementation* rival : rivals)
    if (const double time = measure(*rival, conv); time < best) {
      best = time;
      fastest = rival;
    }
  choice = fastest->name;
  changed_ = true;
  return *fastest;
}

StepPtr Tuner::make_convolution(const ConvDescription& conv) {
  return choose(conv).make(conv);
}

void Tuner::save() const {
  if (!changed_ || file_.empty()) return;
  auto lines = read_lines(file_);
  for (const auto& [layer, implementation] : choices_) lines[machine_ + '\t' + layer] = implementation;
  std::string text;
  for (const auto& [line, implementation] : lines) text += line + '\t' + implementation + '\n';
  if (text.size() > kMostBytes) return;
  try {
    std::filesystem::create_directories(file_.parent_path());
    write_file_atomically(file_, text);
  } catch (const Error&) {
  } catch (const std::filesystem::filesystem_error&) {
  }
}

std::filesystem::path Tuner::default_file() {
  const std::filesystem::path folder = user_cache_folder();
  return folder.empty() ? folder : folder / fmt::format("tuning-{}.txt", kVersion);
}

}  // namespace marrow::engine
