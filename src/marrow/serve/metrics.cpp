#include "marrow/serve/metrics.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace marrow::serve {
namespace {

// As Go prints it.
std::string number(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  std::array<char, 32> text;
  const auto end = std::to_chars(text.data(), text.data() + text.size(), value).ptr;
  return {text.data(), end};
}

std::string escaped(std::string_view text, bool quotes) {
  std::string result;
  for (const char c : text) {
    if (c == '\\' || (quotes && c == '"')) result += '\\';
    if (c == '\n')
      result += "\\n";
    else
      result += c;
  }
  return result;
}

// Words of /proc/self/stat behind the program's name, which may hold blanks.
std::vector<double> process_words() {
  std::ifstream file("/proc/self/stat");
  std::string text((std::istreambuf_iterator<char>(file)), {});
  std::istringstream words(text.substr(std::min(text.rfind(')') + 1, text.size())));
  std::string state;
  words >> state;
  std::vector<double> numbers;
  for (double value; words >> value;) numbers.push_back(value);
  return numbers;
}

double boot_time() {
  std::ifstream file("/proc/stat");
  for (std::string line; std::getline(file, line);)
    if (line.starts_with("btime ")) return std::strtod(line.c_str() + 6, nullptr);
  return 0;
}

double open_descriptors() {
  std::error_code error;
  double count = 0;
  for (std::filesystem::directory_iterator each("/proc/self/fd", error), end; !error && each != end;
       each.increment(error))
    ++count;
  return count - 1;  // without the folder's own
}

}  // namespace

Histogram Histogram::of_seconds() {
  return Histogram({0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10});
}

void Histogram::add(double value) {
  ++counts_[static_cast<size_t>(std::ranges::lower_bound(bounds_, value) - bounds_.begin())];
  sum_ += value;
}

void ModelMetrics::finished(Outcome outcome, double seconds) {
  const std::lock_guard lock(mutex_);
  ++values_.outcomes[static_cast<size_t>(outcome)];
  values_.request.add(seconds);
  (outcome == Outcome::kOk ? values_.success : values_.fail).add(seconds);
}

void ModelMetrics::decoded(double seconds) {
  const std::lock_guard lock(mutex_);
  values_.decode.add(seconds);
  values_.input.add(seconds);
}

void ModelMetrics::waited(double seconds) {
  const std::lock_guard lock(mutex_);
  values_.queue.add(seconds);
  values_.waiting.add(seconds);
}

void ModelMetrics::ran(size_t pictures, double seconds) {
  const std::lock_guard lock(mutex_);
  values_.inference.add(seconds);
  values_.batch.add(static_cast<double>(pictures));
  values_.infer.add(seconds * static_cast<double>(pictures), pictures);
  values_.batches[pictures].add(seconds);
  values_.pictures += pictures;
  ++values_.runs;
  values_.last_ms = std::chrono::duration_cast<std::chrono::milliseconds>(
                        std::chrono::system_clock::now().time_since_epoch())
                        .count();
}

void ModelMetrics::read_outputs(double seconds) {
  const std::lock_guard lock(mutex_);
  values_.output.add(seconds);
}

bool ModelMetrics::enter(size_t pictures, size_t most) {
  size_t depth = depth_;
  do {
    if (pictures > most || depth > most - pictures) return false;
  } while (!depth_.compare_exchange_weak(depth, depth + pictures));
  return true;
}

void ModelMetrics::leave(size_t pictures) {
  depth_ -= pictures;
}

ModelMetrics::Values ModelMetrics::values() const {
  const std::lock_guard lock(mutex_);
  return values_;
}

void HttpMetrics::finished(const char* route, int code, double seconds) {
  const std::lock_guard lock(mutex_);
  Route& counted = routes_[route];
  ++counted.codes[code];
  counted.seconds.add(seconds);
}

std::map<std::string, HttpMetrics::Route> HttpMetrics::routes() const {
  const std::lock_guard lock(mutex_);
  return routes_;
}

void MetricsText::family(std::string_view name, std::string_view help, std::string_view type) {
  name_ = name;
  text_ += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, escaped(help, false), name, type);
}

void MetricsText::line(std::string_view suffix, const Labels& labels, double value) {
  std::string inside;
  for (const auto& [label, text] : labels)
    inside += fmt::format("{}{}=\"{}\"", inside.empty() ? "" : ",", label, escaped(text, true));
  text_ += fmt::format("{}{}{} {}\n", name_, suffix, inside.empty() ? "" : "{" + inside + "}", number(value));
}

void MetricsText::sample(const Labels& labels, double value) {
  line("", labels, value);
}

void MetricsText::histogram(const Labels& labels, const Histogram& histogram) {
  uint64_t total = 0;
  Labels with_bound = labels;
  with_bound.emplace_back("le", "");
  for (size_t i = 0; i < histogram.counts().size(); ++i) {
    total += histogram.counts()[i];
    with_bound.back().second = i < histogram.bounds().size() ? number(histogram.bounds()[i]) : "+Inf";
    line("_bucket", with_bound, static_cast<double>(total));
  }
  line("_sum", labels, histogram.sum());
  line("_count", labels, static_cast<double>(total));
}

void add_process_metrics(MetricsText& text) {
  // Of proc(5), counted from the word behind the state: 11 and 12 are the times in user and kernel mode, 19
  // the start, 21 the resident pages.
  constexpr size_t kUser = 10, kKernel = 11, kStart = 18, kPages = 20;
  const std::vector<double> words = process_words();
  const double ticks = static_cast<double>(sysconf(_SC_CLK_TCK));
  if (words.size() > kPages) {
    text.family("process_cpu_seconds_total", "Processor time in user and kernel mode.", "counter");
    text.sample({}, (words[kUser] + words[kKernel]) / ticks);
    text.family("process_resident_memory_bytes", "Memory that is in use and not swapped out.", "gauge");
    text.sample({}, words[kPages] * static_cast<double>(sysconf(_SC_PAGESIZE)));
    text.family("process_start_time_seconds", "When the process started, since 1970.", "gauge");
    text.sample({}, boot_time() + words[kStart] / ticks);
  }
  text.family("process_open_fds", "Open file descriptors.", "gauge");
  text.sample({}, open_descriptors());
  rlimit limit = {};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    text.family("process_max_fds", "File descriptors that may be open.", "gauge");
    text.sample({}, static_cast<double>(limit.rlim_cur));
  }
}

}  // namespace marrow::serve
