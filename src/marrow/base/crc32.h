// The checksum of zip, PNG and our own files.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace marrow {

// CRC-32: polynomial 0xEDB88320, reflected.
uint32_t crc32(std::span<const std::byte> bytes);

}  // namespace marrow
