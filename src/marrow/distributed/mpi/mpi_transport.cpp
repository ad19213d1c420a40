#include "marrow/distributed/mpi/mpi_transport.h"

#include <fmt/format.h>
#include <mpi.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <sstream>
#include <vector>

#include "marrow/base/error.h"

namespace marrow::distributed {
namespace {

constexpr int kData = 1, kFarewell = 2;  // tags
constexpr size_t kLongestReason = 1000;

void check(int code, const char* what) {
  if (code == MPI_SUCCESS) return;
  std::array<char, MPI_MAX_ERROR_STRING> text = {};
  int length = 0;
  MPI_Error_string(code, text.data(), &length);
  throw Error(ErrorKind::kFile,
              fmt::format("MPI: {}: {}", what, std::string_view(text.data(), static_cast<size_t>(length))));
}

// Of every worker, for messages and to see whether it still runs.
struct Origin {
  std::array<char, 64> host = {};
  std::array<char, 64> processes = {};  // the namespace that `process` is a number in
  int64_t process = 0;
  int64_t started = 0;  // another process may get its number later
};

// In clock ticks since the machine started; 0 when there is no such process, or it has ended and waits to be
// noticed.
int64_t start_of_process(int64_t process) {
  std::ifstream file(fmt::format("/proc/{}/stat", process));
  std::string text((std::istreambuf_iterator<char>(file)), {});
  const size_t name_end = text.rfind(')');
  if (name_end == std::string::npos) return 0;
  constexpr int kFieldsBetween = 19;  // state is the first behind the name, the start the 20th
  char state = 0;
  int64_t field = 0;
  std::istringstream fields(text.substr(name_end + 1));
  fields >> state;
  for (int i = 0; i < kFieldsBetween; ++i) fields >> field;
  return state == 'Z' || state == 'X' ? 0 : field;
}

Origin own_origin() {
  Origin origin;
  gethostname(origin.host.data(), origin.host.size() - 1);
  if (readlink("/proc/self/ns/pid", origin.processes.data(), origin.processes.size() - 1) < 0)
    origin.processes.front() = '\0';
  origin.process = getpid();
  origin.started = start_of_process(origin.process);
  return origin;
}

class MpiTransport final : public Transport {
 public:
  MpiTransport() {
    int level = 0;
    check(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &level), "cannot begin");
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    check(MPI_Comm_rank(MPI_COMM_WORLD, &rank_), "no rank");
    check(MPI_Comm_size(MPI_COMM_WORLD, &size_), "no number of workers");
    const Origin mine = own_origin();
    origins_.resize(static_cast<size_t>(size_));
    check(MPI_Allgather(&mine, sizeof mine, MPI_BYTE, origins_.data(), sizeof mine, MPI_BYTE, MPI_COMM_WORLD),
          "workers do not find each other");
  }

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  std::string place(int rank) const override {
    const Origin& origin = origins_.at(static_cast<size_t>(rank));
    return fmt::format("host {}, process {}", origin.host.data(), origin.process);
  }

  Ticket send(int to, std::span<const std::byte> bytes) override {
    MPI_Request& request = requests_[++latest_];
    check(MPI_Isend(bytes.data(), static_cast<int>(bytes.size()), MPI_BYTE, to, kData, MPI_COMM_WORLD,
                    &request),
          "cannot send");
    return latest_;
  }
  Ticket receive(int from, std::span<std::byte> bytes) override {
    MPI_Request& request = requests_[++latest_];
    check(MPI_Irecv(bytes.data(), static_cast<int>(bytes.size()), MPI_BYTE, from, kData, MPI_COMM_WORLD,
                    &request),
          "cannot receive");
    return latest_;
  }
  bool done(Ticket ticket) override {
    const auto open = requests_.find(ticket);
    int flag = 0;
    check(MPI_Test(&open->second, &flag, MPI_STATUS_IGNORE), "a message was lost");
    if (flag != 0) requests_.erase(open);
    return flag != 0;
  }

  bool is_gone(int rank) const override {
    const Origin& mine = origins_[static_cast<size_t>(rank_)];
    const Origin& other = origins_[static_cast<size_t>(rank)];
    return mine.host == other.host && mine.processes == other.processes &&
           start_of_process(other.process) != other.started;
  }

  void say_farewell(std::string_view reason) override {
    farewell_ = reason.substr(0, kLongestReason);
    for (int to = 0; to < size_; ++to)
      if (to != rank_)
        MPI_Isend(farewell_.data(), static_cast<int>(farewell_.size()), MPI_BYTE, to, kFarewell,
                  MPI_COMM_WORLD, &requests_[++latest_]);
  }
  std::optional<Farewell> farewell() override {
    int flag = 0;
    MPI_Status status;
    if (MPI_Iprobe(MPI_ANY_SOURCE, kFarewell, MPI_COMM_WORLD, &flag, &status) != MPI_SUCCESS || flag == 0)
      return {};
    std::array<char, kLongestReason> text = {};
    int length = 0;
    MPI_Get_count(&status, MPI_BYTE, &length);
    if (MPI_Recv(text.data(), std::clamp(length, 0, static_cast<int>(text.size())), MPI_BYTE,
                 status.MPI_SOURCE, kFarewell, MPI_COMM_WORLD, MPI_STATUS_IGNORE) != MPI_SUCCESS)
      return {};
    return Farewell{status.MPI_SOURCE, std::string(text.data(), static_cast<size_t>(length))};
  }

  void leave(bool together) override {
    if (!together) MPI_Abort(MPI_COMM_WORLD, 1);
    MPI_Finalize();
  }

 private:
  int rank_ = 0, size_ = 1;
  std::vector<Origin> origins_;
  std::map<Ticket, MPI_Request> requests_;
  Ticket latest_ = 0;
  std::string farewell_;
};

}  // namespace

std::unique_ptr<Transport> join_mpi() {
  return std::make_unique<MpiTransport>();
}

}  // namespace marrow::distributed
