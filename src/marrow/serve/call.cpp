#include "marrow/serve/call.h"

#include <fmt/format.h>

#include <atomic>

#include "marrow/base/error.h"
#include "marrow/base/talk.h"
#include "marrow/serve/http/compression.h"

namespace marrow::serve {
namespace {

constexpr size_t kLeastPacked = 1 << 10;  // bytes; smaller ones fit into a packet

// Unlike those of other errors, of earlier runs too.
std::string next_error_id() {
  static std::atomic<uint64_t> counter{0};
  const auto now = std::chrono::system_clock::now().time_since_epoch().count();
  return fmt::format("{:x}-{}", now, ++counter);
}

Outcome outcome_of(int status, bool late) {
  if (late) return Outcome::kTimeout;
  if (status < 400) return Outcome::kOk;
  if (status == 503) return Outcome::kRejected;
  return status < 500 ? Outcome::kClientError : Outcome::kError;
}

}  // namespace

Call::Call(std::shared_ptr<Exchange> exchange, std::shared_ptr<Network> network,
           std::shared_ptr<ModelMetrics> metrics, size_t most_pictures, const CallLimits& limits)
    : exchange_(std::move(exchange)),
      network_(std::move(network)),
      metrics_(std::move(metrics)),
      admission_(metrics_, most_pictures),
      limits_(limits) {
  try {
    admission_.grow_to(1);
  } catch (const HttpError& error) {
    answered_ = true;
    finish(error.status());
    throw;
  }
}

Call::~Call() {
  // Who closed its own side alone still hears of it.
  if (!answered_)
    answer(error_response(408, "the client left, or the server ends, before the request's turn"));
}

void Call::finish(int status) {
  metrics_->finished(outcome_of(status, late_),
                     std::chrono::duration<double>(Exchange::Clock::now() - exchange_->begin).count());
}

void Call::answer(Response response) {
  if (std::exchange(answered_, true)) return;
  const Coding coding = accepted_coding(exchange_->head);
  if (coding != Coding::kIdentity && response.body.size() >= kLeastPacked) {
    response.body = pack(response.body, coding);
    response.fields.push_back({"Content-Encoding", std::string(coding_name(coding))});
    response.fields.push_back({"Vary", "Accept-Encoding"});
  }
  if (!timing_.empty()) response.fields.push_back({"Server-Timing", timing_});
  finish(response.status);
  // Before the answer, so that who has it finds room for the next request.
  admission_.release();
  exchange_->answer(std::move(response));
}

void Call::decoded(double seconds) {
  decode_seconds_ = seconds;
  metrics_->decoded(seconds);
}

Response exception_response() {
  try {
    throw;
  } catch (const HttpError& error) {
    return error_response(error);
  } catch (const Error& error) {
    return error_response(400, error.what());
  } catch (const std::exception& error) {
    const std::string id = next_error_id();
    talk(fmt::format("marrow: error {}: {}", id, error.what()));
    return error_response(500, "the server failed; its log has more under " + id);
  }
}

void Call::unpack_body() {
  const Coding coding = content_coding(exchange_->head);
  if (coding == Coding::kIdentity) return;
  std::string plain = unpack(exchange_->body, coding, limits_.body);
  if (!exchange_->held->grow_to(plain.size()))
    throw overloaded("the server holds as many bytes of requests as it may");
  exchange_->body = std::move(plain);
}

void Call::run(std::vector<Tensor> inputs, BatchQueue& queue, Workers& workers,
               std::function<void(std::vector<Outputs>&)> function) {
  const auto job = std::make_shared<Job>();
  job->network = network_;
  job->metrics = metrics_;
  job->inputs = std::move(inputs);
  job->unwanted = [exchange = exchange_] { return exchange->gone(); };
  job->done = [self = shared_from_this(), &workers, function = std::move(function)](Job& done) {
    const auto outputs = std::make_shared<std::vector<Outputs>>(std::move(done.outputs));
    self->timing_ = fmt::format("decode;dur={:.3f}, queue;dur={:.3f}, inference;dur={:.3f}",
                                1e3 * self->decode_seconds_, 1e3 * done.queued, 1e3 * done.ran);
    workers.post([self, outputs, function, late = done.late, failure = done.failure] {
      self->guarded([&] {
        self->late_ = late;
        if (late) throw overloaded("the request waited too long for its turn");
        if (!failure.empty()) throw std::runtime_error(failure);
        const Stopwatch clock;
        function(*outputs);
        for (Outputs& output : *outputs)
          for (Tensor& tensor : output) self->network().give_back(std::move(tensor));
        self->metrics().read_outputs(clock.seconds());
      });
    });
  };
  queue.add(job);
}

}  // namespace marrow::serve
