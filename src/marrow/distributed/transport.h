// Messages between the workers of a run, whatever carries them: MPI between processes, memory between the
// threads of a test. One thread uses one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace marrow::distributed {

// What another worker said before it ended.
struct Farewell {
  int rank = 0;
  std::string reason;
};

class Transport {
 public:
  virtual ~Transport() = default;

  virtual int rank() const = 0;
  virtual int size() const = 0;
  virtual std::string place(int rank) const = 0;  // for a person: "host node3, process 4711"

  // Begin to send and to receive; both know the size. The bytes stay where they are until done() says so.
  // From one worker to another messages arrive in the order they were sent.
  using Ticket = int64_t;
  virtual Ticket send(int to, std::span<const std::byte> bytes) = 0;
  virtual Ticket receive(int from, std::span<std::byte> bytes) = 0;
  // Moves what is under way. True once, when it is done: the ticket is used up. Throws Error{kFile} when the
  // connection is broken.
  virtual bool done(Ticket ticket) = 0;

  // Whether that worker is known to have ended; false where nobody here can know.
  virtual bool is_gone(int rank) const = 0;

  // To all others, without waiting for them.
  virtual void say_farewell(std::string_view reason) = 0;
  // Another's that has come.
  virtual std::optional<Farewell> farewell() = 0;

  // The end of a run: `together` with all others, or at once, which ends the others too. The latter may not
  // return.
  virtual void leave(bool together) = 0;
};

}  // namespace marrow::distributed
