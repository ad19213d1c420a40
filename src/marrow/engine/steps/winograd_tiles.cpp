#include "marrow/engine/steps/winograd_tiles.h"

#include "marrow/cpu/caches.h"

namespace marrow::engine {
namespace {

// Of what lies between the transforms of a task.
int64_t task_bytes() {
  return cpu::cache_bytes(2) * 3 / 8;
}

}  // namespace

// As many tiles as the cache takes, in whole register tiles, and cut so that all threads get equal shares.
WinogradTiles::WinogradTiles(const ConvDescription& conv, int64_t tile_bytes, int tile_pixels, int64_t groups)
    : WinogradGrid(conv.dst), images_(conv.dst.images), groups_(groups) {
  const int64_t threads = conv.pool->threads();
  const int64_t wanted = std::max<int64_t>(task_bytes() / tile_bytes / tile_pixels, 1) * tile_pixels;
  chunks_ = (count() + wanted - 1) / wanted;
  if (chunks_ * images_ < 4 * threads) chunks_ = (chunks_ + threads - 1) / threads * threads;
  chunks_ = std::min(chunks_, (count() + tile_pixels / 2) / std::max<int64_t>(tile_pixels / 2, 1));
  chunks_ = std::clamp<int64_t>(chunks_, 1, count());
  most_tiles_ = (count() + chunks_ - 1) / chunks_;
  // Few tiles for many threads: each transforms them again for its part of the output channels.
  while (chunks_ * group_chunks_ * images_ < threads && group_chunks_ < groups) ++group_chunks_;
}

WinogradTask WinogradTiles::task(int64_t index) const {
  const int64_t part = index % group_chunks_;
  const int64_t chunk = index / group_chunks_ % chunks_;
  const int64_t first = chunk * count() / chunks_;
  return {index / group_chunks_ / chunks_, first, (chunk + 1) * count() / chunks_ - first,
          part * groups_ / group_chunks_, (part + 1) * groups_ / group_chunks_};
}

}  // namespace marrow::engine
