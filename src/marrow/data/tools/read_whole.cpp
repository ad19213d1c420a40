#include "marrow/data/tools/read_whole.h"

#include <algorithm>
#include <iterator>

#include "marrow/data/split_scan.h"
#include "marrow/data/task_labels.h"

namespace marrow::data {

WholeDataset read_whole(const Dataset& dataset, int threads) {
  dataset.require_boxes();
  require_keypoints(dataset);
  WholeDataset whole;
  ReadSummary& summary = whole.summary;
  for (const Split& split : dataset.splits) {
    const auto reader = make_split_reader(dataset, split);
    reader->list();
    SplitLabels labels = labels_of(scan_split(*reader, threads, {}));
    summary.dropped += labels.dropped;
    summary.images += static_cast<int64_t>(labels.images.size());
    for (const LabelledImage& image : labels.images) {
      summary.objects += static_cast<int64_t>(image.labels.size());
      summary.outlines += static_cast<int64_t>(image.polygons.size());
      summary.quadrangles +=
          std::ranges::count_if(image.polygons, [](const Polygon& p) { return p.size() == 4; });
      summary.ignored += std::ranges::count_if(image.ignored, is_crowd_or_difficult);
    }
    std::ranges::move(labels.problems, std::back_inserter(summary.problems));
    require_outlines(dataset, labels.images);
    whole.splits.push_back({split.name, std::move(labels.images)});
  }
  return whole;
}

}  // namespace marrow::data
