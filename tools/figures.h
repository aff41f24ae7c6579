#pragma once
// The kinds of figures. Each computes what it needs, by the cells of tables where it shows results (tools/cached_run.h).
#include "eval/figure_file.h"
#include "eval/figure_sheet.h"
#include "tools/cached_run.h"

namespace lpnsr {

FigureSheet draw_crops(const FigureFile& figure, const CacheOptions& options);         // Fig. 1, 3, 5, 6
FigureSheet draw_noise(const FigureFile& figure, const CacheOptions& options);         // Fig. 2
FigureSheet draw_distribution(const FigureFile& figure, const CacheOptions& options);  // Fig. 4
FigureSheet draw_spread(const FigureFile& figure, const CacheOptions& options);        // standard deviation over samples, pixel by pixel
FigureSheet draw_steps(const FigureFile& figure, const CacheOptions& options);         // metrics of Table 1
FigureSheet draw_curves(const FigureFile& figure, const CacheOptions& options);        // losses

}  // namespace lpnsr
