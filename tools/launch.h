#pragma once
#include <cstdint>

#include "tools/commands.h"

namespace lpnsr {

// Runs this program `processes` times with `arguments` (its own, sub-command first) as the ranks of one run on this machine, with
// torchrun's variables set. Returns the exit status of the first that failed, or 0: when one fails the others are asked to end, and killed
// ten seconds later. SIGINT and SIGTERM are passed on, and handled as before once all have ended; for one that came when no
// rank was left it returns 128 and the signal's number.
int launch(int64_t processes, const Arguments& arguments);

}  // namespace lpnsr
