// Messages by MPI, whatever network it knows. The only files that include MPI's header are here.
#pragma once

#include <memory>

#include "marrow/distributed/transport.h"

namespace marrow::distributed {

// Joins the workers that mpirun or srun has started, all of MPI_COMM_WORLD; once a process. Throws
// Error{kFile} when MPI does not begin.
std::unique_ptr<Transport> join_mpi();

}  // namespace marrow::distributed
