#pragma once
// Histograms as inline SVG, small enough to stand several in a row.
#include <map>
#include <string>
#include <vector>

namespace lpnsr {

std::string histogram(const std::string& title, const std::vector<double>& values, int bins = 20);
std::string bar_chart(const std::string& title, const std::map<std::string, double>& counts);

}  // namespace lpnsr
