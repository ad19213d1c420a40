// Counts and times of what the server did, for Prometheus and for the protocol's statistics. Any thread.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace marrow::serve {

class Histogram {
 public:
  // Upper bounds, rising.
  explicit Histogram(std::vector<double> bounds) : bounds_(std::move(bounds)), counts_(bounds_.size() + 1) {}
  static Histogram of_seconds();
  void add(double value);

  const std::vector<double>& bounds() const { return bounds_; }
  const std::vector<uint64_t>& counts() const { return counts_; }  // of each bucket alone; the last is +Inf's
  double sum() const { return sum_; }

 private:
  std::vector<double> bounds_;
  std::vector<uint64_t> counts_;
  double sum_ = 0;
};

// How a request for a model ended.
enum class Outcome { kOk, kClientError, kRejected, kTimeout, kError };
inline constexpr std::array<std::string_view, 5> kOutcomeNames = {"ok", "client_error", "rejected", "timeout",
                                                                  "error"};

struct Times {
  uint64_t count = 0;
  uint64_t ns = 0;
  void add(double seconds, uint64_t times = 1) {
    count += times;
    ns += static_cast<uint64_t>(seconds * 1e9);
  }
};

// Of one model, by its name; it outlives the model's being read again.
class ModelMetrics {
 public:
  struct Values {
    std::array<uint64_t, kOutcomeNames.size()> outcomes = {};
    Histogram request = Histogram::of_seconds(), queue = Histogram::of_seconds(),
              inference = Histogram::of_seconds(), decode = Histogram::of_seconds();
    Histogram batch = Histogram({1, 2, 4, 8, 16, 32});
    Times success, fail, waiting, input, infer, output;
    std::map<size_t, Times> batches;  // by the pictures that ran at once
    uint64_t pictures = 0, runs = 0;
    int64_t last_ms = 0;  // since 1970, of the last run
  };

  void finished(Outcome outcome, double seconds);
  void decoded(double seconds);
  void waited(double seconds);
  void ran(size_t pictures, double seconds);
  void read_outputs(double seconds);

  // Places for pictures: enter() gives false where `most` would be exceeded.
  bool enter(size_t pictures, size_t most);
  void leave(size_t pictures);
  size_t depth() const { return depth_; }

  Values values() const;

 private:
  mutable std::mutex mutex_;
  Values values_;
  std::atomic<size_t> depth_{0};
};

// Of requests, by route.
class HttpMetrics {
 public:
  struct Route {
    std::map<int, uint64_t> codes;
    Histogram seconds = Histogram::of_seconds();
  };
  // `route` is one of a fixed set.
  void finished(const char* route, int code, double seconds);
  std::map<std::string, Route> routes() const;

 private:
  mutable std::mutex mutex_;
  std::map<std::string, Route> routes_;
};

// Prometheus's text format, 0.0.4.
class MetricsText {
 public:
  using Labels = std::vector<std::pair<std::string_view, std::string>>;

  void family(std::string_view name, std::string_view help, std::string_view type);
  // Of the last family.
  void sample(const Labels& labels, double value);
  void histogram(const Labels& labels, const Histogram& histogram);
  std::string text() && { return std::move(text_); }

 private:
  void line(std::string_view suffix, const Labels& labels, double value);
  std::string name_, text_;
};

inline constexpr const char* kMetricsType = "text/plain; version=0.0.4; charset=utf-8";

// Those of the process, under their usual names.
void add_process_metrics(MetricsText& text);

}  // namespace marrow::serve
