"""pyiqa's metrics with synthetic weights, for tools/bench-metrics.

    pyiqa_metric.py weights FOLDER               writes the weights under their published names, for lpnsr
    pyiqa_metric.py score METRIC FOLDER THREADS  prints "ready", then a score for each line that it reads

FOLDER holds image.png and reference.png where a metric is scored. Weights follow one rule, so both programs have the same without a file
of a real one: value i of the entry NAME is the hash (splitmix64) of NAME and i, scaled by the entry's kind.
"""
import pathlib
import sys
import warnings

import numpy
import scipy.io
import torch
import torchvision

warnings.filterwarnings("ignore")
FOREST_FEATURES = (18, 45, 75)


def values(name, count):
    """Uniform in [-1, 1)."""
    start = 0xCBF29CE484222325
    for byte in ("bench/" + name).encode():
        start = (start ^ byte) * 0x100000001B3 % 2**64
    with numpy.errstate(over="ignore"):
        z = numpy.uint64(start) + numpy.arange(1, count + 1, dtype=numpy.uint64) * numpy.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> numpy.uint64(30))) * numpy.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> numpy.uint64(27))) * numpy.uint64(0x94D049BB133111EB)
        z ^= z >> numpy.uint64(31)
    return 2 * ((z >> numpy.uint64(11)).astype(numpy.float64) * 2.0**-53) - 1


def fill(module):
    for name, tensor in module.state_dict().items():
        if not tensor.is_floating_point() or "attn_mask" in name:
            continue
        v = values(name, tensor.numel())
        if name.endswith("running_var"):
            v = 1 + 0.25 * v
        elif name.endswith("running_mean"):
            v = 0.1 * v
        elif tensor.dim() == 1:
            v = 1 + 0.1 * v if name.endswith("weight") else 0.05 * v
        elif tensor.dim() > 1:
            v = v * (3 / (tensor.numel() / tensor.shape[0])) ** 0.5
            if name.startswith("lin"):  # LPIPS and DISTS weigh distances
                v = abs(v)
        tensor.copy_(torch.from_numpy(v).view(tensor.shape))
    return module


def forest(features, name, trees=500, depth=9):
    """Full binary trees in regRF_train's arrays, nodes x trees; daughters are counted from 1, 0 at leaves."""
    nodes = 2 ** (depth + 1) - 1
    inner = numpy.arange(nodes) < 2**depth - 1
    left = numpy.where(inner, 2 * numpy.arange(nodes) + 2, 0)
    arrays = {
        "lDau": left, "rDau": numpy.where(inner, left + 1, 0), "nodestatus": numpy.where(inner, -3, -1), "nrnodes": numpy.full(nodes, nodes),
    }
    arrays = {key: numpy.repeat(array[:, None], trees, 1).astype(float) for key, array in arrays.items()}
    draw = lambda what: values(name + what, nodes * trees).reshape(nodes, trees)
    arrays["upper"] = draw("upper")
    arrays["avnode"] = 5 + 4 * draw("avnode")
    arrays["mbest"] = numpy.where(inner[:, None], 1 + numpy.floor((draw("mbest") + 1) / 2 * features), 0)
    return {key: array.astype(numpy.int32) if key in ("lDau", "rDau", "mbest") else array for key, array in arrays.items()}


def write_classical(folder):
    scipy.io.savemat(folder / "niqe_modelparameters.mat",
                     {"mu_prisparam": 1 + values("mu", 36)[None], "cov_prisparam": numpy.eye(36) * 0.1})
    rf = numpy.empty((1, 3), dtype=object)
    for i, features in enumerate(FOREST_FEATURES):
        rf[0, i] = forest(features, f"forest{i}")
    scipy.io.savemat(folder / "NRQM_model.mat", {"model": {"rf": rf, "linear": numpy.full((4, 1), 0.25)}}, do_compression=True)


def clip():
    from pyiqa.archs.clip_model import CLIP
    return fill(CLIP(1024, 224, (3, 4, 6, 3), 64, None, 77, 49408, 512, 8, 12).eval())


def without_downloads(folder):
    """Networks are made with any weights; files of numbers come from `folder`."""
    import timm
    for name in ("alexnet", "vgg16", "squeezenet1_1"):
        make = getattr(torchvision.models, name)
        setattr(torchvision.models, name, lambda make=make, **_: fill(make(weights=None)))
    create = timm.create_model
    timm.create_model = lambda name, **options: create(name, **{**options, "pretrained": False})
    import importlib
    for arch in ("lpips", "dists", "niqe", "nrqm", "clipiqa", "musiq", "maniqa", "topiq", "fid"):
        importlib.import_module(f"pyiqa.archs.{arch}_arch")
    for name, module in list(sys.modules.items()):
        if not name.startswith("pyiqa."):
            continue
        for attribute, stand_in in (("load_pretrained_network", lambda *_, **__: None),
                                    ("load_file_from_url", lambda url, *_, **__: str(folder / url.rsplit("/", 1)[-1]))):
            if hasattr(module, attribute):
                setattr(module, attribute, stand_in)
    sys.modules["pyiqa.archs.clipiqa_arch"].load = lambda *_: clip()
    from pyiqa.archs import inception
    make_inception = inception.fid_inception_v3
    inception.fid_inception_v3 = lambda: fill(make_inception())


def network(metric):
    import pyiqa
    name = {"lpips.alex": "lpips", "lpips.vgg": "lpips-vgg", "lpips.squeeze": "lpips"}.get(metric, metric)
    model = pyiqa.create_metric(name, device="cpu", **({"net": "squeeze"} if metric == "lpips.squeeze" else {}))
    if metric == "dists":  # its backbone is filled already, under torchvision's names
        for key in ("alpha", "beta"):
            parameter = getattr(model.net, key)
            parameter.data.copy_(torch.from_numpy(abs(values(key, parameter.numel()))).view(parameter.shape))
    elif metric.startswith("lpips"):
        for layer in model.net.lins:
            fill_linear(layer)
    elif metric in ("musiq", "maniqa", "topiq_nr"):
        fill(model.net)
    return model


def fill_linear(layer):
    for name, tensor in layer.state_dict().items():
        tensor.copy_(torch.from_numpy(abs(values(f"{tensor.shape}{name}", tensor.numel())) / tensor.numel()).view(tensor.shape))


def write_weights(folder):
    write_classical(folder)
    without_downloads(folder)
    from pyiqa.archs import inception
    save = lambda name, entries: torch.save(dict(entries), folder / name)
    for file, make in (("alexnet-owt-7be5be79.pth", "alexnet"), ("vgg16-397923af.pth", "vgg16"), ("squeezenet1_1-b8a52dc0.pth", "squeezenet1_1")):
        save(file, getattr(torchvision.models, make)().state_dict())
    for net, code in (("alex", "df73285e"), ("vgg", "a78928a0"), ("squeeze", "4a5350f2")):
        entries = network(f"lpips.{net}").net.state_dict()
        save(f"LPIPS_v0.1_{net}-{code}.pth", ((key, value) for key, value in entries.items() if key.startswith("lin") and not key.startswith("lins")))
    save("DISTS_weights-f5e65c96.pth", ((key, value) for key, value in network("dists").net.state_dict().items() if key in ("alpha", "beta")))
    save("RN50.pt", clip().state_dict())
    save("musiq_koniq_ckpt-e95806b9.pth", network("musiq").net.state_dict())
    save("ckpt_koniq10k.pt", network("maniqa").net.state_dict())
    torch.save({"params": network("topiq_nr").net.state_dict()}, folder / "cfanet_nr_koniq_res50-9a73138b.pth")
    save("pt_inception-2015-12-05-6726825d.pth", inception.fid_inception_v3().state_dict())


def fid_features(folder):
    """Of one picture, as pyiqa computes those of a folder (mode clean): read, resized, through the network."""
    from pyiqa.archs.fid_arch import ResizeDataset
    from pyiqa.archs.inception import InceptionV3
    model = InceptionV3(output_blocks=[3], resize_input=False).eval()
    pictures = ResizeDataset([str(folder / "image.png")], mode="clean", size=(299, 299))
    return lambda: model((pictures[0][None] - 128) / 128, False, False)[0].mean()


def serve(metric, folder, threads):
    torch.set_num_threads(threads)
    without_downloads(folder)
    if metric == "fid":
        score = fid_features(folder)
    else:
        model = network(metric)
        read = lambda name: torchvision.io.read_image(str(folder / name))[None].float() / 255
        pictures = [read("image.png")] + ([read("reference.png")] if (folder / "reference.png").exists() else [])
        score = lambda: model(*pictures)
    print("ready", flush=True)
    for _ in sys.stdin:
        print(float(score()), flush=True)


with torch.no_grad():
    if sys.argv[1] == "weights":
        write_weights(pathlib.Path(sys.argv[2]))
    else:
        serve(sys.argv[2], pathlib.Path(sys.argv[3]), int(sys.argv[4]))
