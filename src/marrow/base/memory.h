// How the process deals with memory that it gave up.
#pragma once

namespace marrow {

// For a program that takes and gives up megabytes all the time, such as pictures: keeps what it gave up, as
// far as it goes, where the system would otherwise have to clear other pages for every picture. Before there
// are threads.
void keep_freed_memory();

}  // namespace marrow
