"""The fast graph: weights as int8, activations rounded while it runs."""

from __future__ import annotations

import tempfile
from pathlib import Path

import onnx


def quantised(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with int8 weights, a scale a column, and a scale of the activations a call.

    That last one is why a text must be alone in its call: beside others it is rounded otherwise.
    """
    # Imported here: it brings in half of onnxruntime's tools, which no encoder needs at run time.
    from onnxruntime.quantization import QuantType, quantize_dynamic

    # Says that shapes were looked at: without it the quantiser warns at every export.
    onnx.helper.set_model_props(model, {"onnx.quant.pre_process": "onnxruntime.quant"})
    with tempfile.TemporaryDirectory(prefix="ragmesh-") as folder:
        path = Path(folder, "int8.onnx")
        quantize_dynamic(
            model,
            path,
            op_types_to_quantize=["MatMul"],
            weight_type=QuantType.QInt8,
            per_channel=True,
            # Seven bits: with eight, processors without VNNI overflow where two products are added.
            reduce_range=True,
        )
        return onnx.load(path)
