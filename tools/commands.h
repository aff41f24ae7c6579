#pragma once
#include <string>
#include <vector>

namespace lpnsr {

// Arguments after the sub-command's name; the exit status is returned or thrown (core/error.h).
using Arguments = std::vector<std::string>;
int run_train(const Arguments& arguments);
int run_restore(const Arguments& arguments);
int run_degrade(const Arguments& arguments);
int run_evaluate(const Arguments& arguments);
int run_forward(const Arguments& arguments);
int run_inspect(const Arguments& arguments);
int run_convert(const Arguments& arguments);
int run_crop(const Arguments& arguments);
int run_info(const Arguments& arguments);
int run_report(const Arguments& arguments);
int run_data(const Arguments& arguments);
int run_bench(const Arguments& arguments);
int run_weights(const Arguments& arguments);
int run_compare(const Arguments& arguments);
int run_table(const Arguments& arguments);
int run_figure(const Arguments& arguments);
int run_sweep(const Arguments& arguments);

}  // namespace lpnsr
