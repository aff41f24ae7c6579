#pragma once
// lpnsr train --dry-run.
#include "trainers/dry_run.h"

namespace lpnsr {

// The plan as text or JSON on stdout. Returns the exit status: 1 where something is missing.
int print_plan(const TrainingPlan& plan, const Experiment& experiment, int64_t processes, bool json);

}  // namespace lpnsr
