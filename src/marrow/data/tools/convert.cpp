#include "marrow/data/tools/convert.h"

#include "marrow/data/tools/read_whole.h"

namespace marrow::data {

ReadSummary convert_dataset(const Dataset& dataset, const std::filesystem::path& out,
                            const WriteOptions& options) {
  require_new_dataset(out, options);
  WholeDataset whole = read_whole(dataset, options.threads);
  write_dataset(out, dataset.names, std::move(whole.splits), dataset.reading, options);
  return std::move(whole.summary);
}

}  // namespace marrow::data
