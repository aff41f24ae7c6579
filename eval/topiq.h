#pragma once
// TOPIQ without a reference (Chen et al. 2024): CFANet on ResNet-50 trained on KonIQ. Higher is better.
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "eval/layers.h"
#include "eval/resnet.h"

namespace lpnsr {

class TopiqNr {
 public:
  // cfanet_nr_koniq_res50-9a73138b.pth. Throws DataError where it does not fit.
  TopiqNr(const std::vector<std::filesystem::path>& files, c10::Device device);
  // RGB [3,H,W] or [N,3,H,W] in [0,1], the whole picture at its size -> [N]. Throws UsageError for less than 32 pixels a side.
  at::Tensor operator()(const at::Tensor& image) const { return run(image, nullptr); }
  // The same, leaving intermediate maps under the published module names ("semantic0", "attn_pool"); tokens are [N,L,256].
  at::Tensor run(const at::Tensor& image, std::map<std::string, at::Tensor>* stages) const;

 private:
  struct EncoderLayer {
    MultiheadAttention attention;
    Linear widen, narrow;
    LayerNorm before_attention, before_mlp;
    at::Tensor operator()(const at::Tensor& tokens) const;
  };
  struct DecoderLayer {
    MultiheadAttention attention;
    Linear widen, narrow;
    LayerNorm of_query, of_memory, before_mlp;
    at::Tensor operator()(const at::Tensor& query, const at::Tensor& memory) const;
  };
  struct Level {
    Convolution split, gate1, gate2, gate3, reduce;
    EncoderLayer attention;
  };
  static EncoderLayer take_encoder(WeightReader& reader, const std::string& key);
  static DecoderLayer take_decoder(WeightReader& reader, const std::string& key);
  explicit TopiqNr(WeightReader reader, c10::Device device);

  c10::Device device_;
  ResNet50 backbone_;
  at::Tensor row_embedding_, column_embedding_;
  std::vector<Level> levels_;
  std::vector<DecoderLayer> decoders_;
  EncoderLayer pool_;
  LayerNorm head_norm1_, head_norm2_;
  Linear head1_, head2_, head3_;
};

}  // namespace lpnsr
