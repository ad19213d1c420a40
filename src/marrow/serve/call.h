// A request for a model, on its way from the body to the answer.
#pragma once

#include <memory>
#include <string>

#include "marrow/base/stopwatch.h"
#include "marrow/serve/batch_queue.h"
#include "marrow/serve/http/exchange.h"
#include "marrow/serve/oip/tensors.h"
#include "marrow/serve/workers.h"

namespace marrow::serve {

struct CallLimits {
  size_t body = 64 << 20;  // bytes, unpacked
  InferLimits infer;
};

// What the exception under way becomes: HttpError as it is, Error 400, and whatever else 500 with an id that
// is in the log too. Within a handler only.
Response exception_response();

class Call : public std::enable_shared_from_this<Call> {
 public:
  // Takes a place for one picture. Throws HttpError{503} where there is none.
  Call(std::shared_ptr<Exchange> exchange, std::shared_ptr<Network> network,
       std::shared_ptr<ModelMetrics> metrics, size_t most_pictures, const CallLimits& limits);
  // One that nobody answered was given up, since its client left.
  ~Call();

  Exchange& exchange() { return *exchange_; }
  Network& network() { return *network_; }
  ModelMetrics& metrics() { return *metrics_; }
  const CallLimits& limits() const { return limits_; }
  // Throws HttpError{503} where the queue has no place for so many.
  void admit(size_t pictures) { admission_.grow_to(pictures); }

  // Packed where the client asks for it. How long its parts took is in Server-Timing, once it has run.
  void answer(Response response);
  // The body became inputs, in so many seconds.
  void decoded(double seconds);

  // function() with what it throws turned into an answer.
  template <class Function>
  void guarded(const Function& function) {
    try {
      function();
    } catch (...) {
      answer(exception_response());
    }
  }

  // In place of the body what it unpacks to. Throws HttpError.
  void unpack_body();

  // Runs the inputs; then function(outputs), on one of the workers, guarded.
  void run(std::vector<Tensor> inputs, BatchQueue& queue, Workers& workers,
           std::function<void(std::vector<Outputs>&)> function);

 private:
  void finish(int status);

  std::shared_ptr<Exchange> exchange_;
  std::shared_ptr<Network> network_;
  std::shared_ptr<ModelMetrics> metrics_;
  Admission admission_;
  CallLimits limits_;
  bool late_ = false;  // it waited too long
  double decode_seconds_ = 0;
  std::string timing_;  // Server-Timing
  bool answered_ = false;
};

}  // namespace marrow::serve
