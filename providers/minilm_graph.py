"""Builds the all-MiniLM-L6-v2 ONNX graph from its safetensors weights, in fp32 or int8.

Standard ops of opset 20 only: a hand-fused graph was no faster and needs a vendor domain. The graph pools over the
attention mask and normalises, so that a session's output is the sentence vector itself.

    input_ids       int64, (n_texts, n_tokens)
    attention_mask  int64, (n_texts, n_tokens), 1 for a token, 0 for padding
    sentence        float32, (n_texts, 384), rows L2-normalised
    token_vectors   float32, (n_texts, n_tokens, 384), rows L2-normalised, zero at padding (only with `tokens`)

int8 means: in the 24 products with weights, weights are int8 with one scale per output channel and activations are
uint8 with one scale per token. onnxruntime's own dynamic quantisation has one scale for the whole batch instead, so
that a text's vector depends on its neighbours (measured: cosine down to 0.95 between two batchings of one text, 0.9927
on average to fp32, where this graph has 1.0000 and 0.9954) and it is no faster.

A change that changes the graph needs a new `providers.minilm.GRAPH_VERSION`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load_file

from memory.errors import ModelUnusable
from providers.minilm_files import Precision

DIM = 384
_HEADS = 12
_HEAD_DIM = DIM // _HEADS
_LAYERS = 6
_LAYER_NORM_EPS = 1e-12
_OPSET = 20
_IR_VERSION = 9  # the first that knows opset 20, so that the oldest supported runtime can read it

# Processors without VNNI add two uint8 x int8 products in 16 bits. Seven bits of weight keep that sum in range
# (2 * 255 * 64 < 2**15): every processor gets the same integers. Eight bits would overflow there, for 0.0014 of cosine.
_WEIGHT_TOP = 64
_ACTIVATION_TOP = 127
_ZERO_POINT = 128
_SMALLEST_SCALE = 1e-30  # a row of zeros must not divide by zero


def build_graph(weights: Path, precision: Precision, *, tokens: bool = False) -> bytes:
    """Serialised ONNX model; `tokens` adds the second output. Takes one to two seconds.

    Raises:
        ModelUnusable: the weights cannot be read or lack a tensor of this model.
    """
    try:
        tensors = load_file(weights)
    except Exception as exc:  # safetensors raises a class of its own, OSError or ValueError, by how it fails
        raise ModelUnusable(f"{weights}: not a readable safetensors file ({exc})") from exc
    try:
        model = _Assembly(tensors, precision).model(tokens=tokens)
    except KeyError as exc:
        raise ModelUnusable(f"{weights}: tensor {exc.args[0]} is missing") from exc
    return bytes(model.SerializeToString())


class _Assembly:
    """Collects nodes and constants; each method returns the name of the value it adds.

    Hidden states travel as (n_texts * n_tokens, width): one row a token, as the per-token scales need it.
    """

    def __init__(self, tensors: Mapping[str, NDArray[Any]], precision: Precision) -> None:
        self._tensors = tensors
        self._precision = precision
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, onnx.TensorProto] = {}

    def model(self, *, tokens: bool) -> onnx.ModelProto:
        """The whole model, checked."""
        batch_shape = self._op("Shape", "input_ids")
        head_shape = self._op("Concat", batch_shape, self._ints("heads", 3 * _HEADS, _HEAD_DIM), axis=0)
        mask_bias, mask_column = self._masks()
        hidden = self._embed()
        for layer in range(_LAYERS):
            hidden = self._layer(hidden, head_shape, mask_bias, f"encoder.layer.{layer}.")
        hidden_shape = self._op("Concat", batch_shape, self._ints("width", DIM), axis=0)
        hidden = self._op("Reshape", hidden, hidden_shape)
        # The mean's division by the token count cancels in the L2 norm: the sum will do.
        pooled = self._op("ReduceSum", self._op("Mul", hidden, mask_column), self._ints("axis_1", 1), keepdims=0)
        self._op("LpNormalization", pooled, output="sentence", axis=-1, p=2)
        outputs = [helper.make_tensor_value_info("sentence", TensorProto.FLOAT, ["n_texts", DIM])]
        if tokens:
            unit = self._op("LpNormalization", hidden, axis=-1, p=2)
            self._op("Mul", unit, mask_column, output="token_vectors")
            shape = ["n_texts", "n_tokens", DIM]
            outputs.append(helper.make_tensor_value_info("token_vectors", TensorProto.FLOAT, shape))
        inputs = [
            helper.make_tensor_value_info(name, TensorProto.INT64, ["n_texts", "n_tokens"])
            for name in ("input_ids", "attention_mask")
        ]
        graph = helper.make_graph(self._nodes, "all-MiniLM-L6-v2", inputs, outputs, list(self._constants.values()))
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION)
        onnx.checker.check_model(model)
        return model

    def _masks(self) -> tuple[str, str]:
        """Addend for the attention scores, (n_texts, 1, 1, n_tokens), and factor, (n_texts, n_tokens, 1)."""
        mask = self._op("Cast", "attention_mask", to=TensorProto.FLOAT)
        absent = self._op("Sub", self._float("one", 1), mask)
        # Far below any score, and finite: an infinite addend would turn 0 * inf into NaN.
        bias = self._op("Mul", absent, self._float("far_below", -1e9))
        return (
            self._op("Unsqueeze", bias, self._ints("axes_1_2", 1, 2)),
            self._op("Unsqueeze", mask, self._ints("axis_last", -1)),
        )

    def _embed(self) -> str:
        prefix = "embeddings."
        words = self._op("Gather", self._weight(prefix + "word_embeddings.weight"), "input_ids")
        # There is one segment only, so its vector is added to the positions once and for all.
        segment = self._tensors[prefix + "token_type_embeddings.weight"][0]
        table = self._const("positions", self._tensors[prefix + "position_embeddings.weight"] + segment)
        n_tokens = self._op("Shape", "input_ids", start=1, end=2)
        positions = self._op("Slice", table, self._ints("zero", 0), n_tokens, self._ints("axis_0", 0))
        rows = self._op("Reshape", self._op("Add", words, positions), self._ints("rows", -1, DIM))
        return self._layer_norm(rows, prefix + "LayerNorm.")

    def _layer(self, hidden: str, head_shape: str, mask_bias: str, prefix: str) -> str:
        context = self._attention(hidden, head_shape, mask_bias, prefix + "attention.self.")
        attended = self._linear(context, prefix + "attention.output.dense.")
        hidden = self._layer_norm(self._op("Add", attended, hidden), prefix + "attention.output.LayerNorm.")
        inner = self._op("Gelu", self._linear(hidden, prefix + "intermediate.dense."), approximate="none")
        outer = self._linear(inner, prefix + "output.dense.")
        return self._layer_norm(self._op("Add", outer, hidden), prefix + "output.LayerNorm.")

    def _attention(self, hidden: str, head_shape: str, mask_bias: str, prefix: str) -> str:
        # One product for query, key and value; the scores' 1/sqrt(head_dim) is folded into the query's part.
        factors = {"query": np.float32(_HEAD_DIM**-0.5), "key": np.float32(1), "value": np.float32(1)}
        weight = np.concatenate(
            [self._tensors[f"{prefix}{name}.weight"].T * by for name, by in factors.items()], axis=1
        )
        bias = np.concatenate([self._tensors[f"{prefix}{name}.bias"] * by for name, by in factors.items()])
        packed = self._op("Reshape", self._product(hidden, prefix, weight, bias), head_shape)
        heads = self._op("Transpose", packed, perm=[0, 2, 1, 3])
        query, key, value = names = [prefix + name for name in factors]
        self._nodes.append(helper.make_node("Split", [heads], names, name=prefix + "split", axis=1, num_outputs=3))
        scores = self._op("MatMul", query, self._op("Transpose", key, perm=[0, 1, 3, 2]))
        weights = self._op("Softmax", self._op("Add", scores, mask_bias), axis=-1)
        joined = self._op("Transpose", self._op("MatMul", weights, value), perm=[0, 2, 1, 3])
        return self._op("Reshape", joined, self._ints("rows", -1, DIM))

    def _linear(self, source: str, prefix: str) -> str:
        return self._product(source, prefix, self._tensors[prefix + "weight"].T, self._tensors[prefix + "bias"])

    def _product(self, source: str, prefix: str, weight: NDArray[Any], bias: NDArray[Any]) -> str:
        """`source` (n_rows, n_in) times `weight` (n_in, n_out) plus `bias`, in the graph's precision."""
        if self._precision == "fp32":
            product = self._op("MatMul", source, self._const(prefix + "weight", weight))
        else:
            quantized, row_scale = self._quantize_rows(source)
            column_scale = np.abs(weight).max(axis=0) / np.float32(_WEIGHT_TOP)
            whole = np.rint(weight / column_scale).astype(np.int8)
            zero_point = self._const("zero_point", np.uint8(_ZERO_POINT))
            integers = self._op("MatMulInteger", quantized, self._const(prefix + "weight", whole), zero_point)
            scaled = self._op("Cast", integers, to=TensorProto.FLOAT)
            scaled = self._op("Mul", scaled, self._const(prefix + "scale", column_scale))
            product = self._op("Mul", scaled, row_scale)
        return self._op("Add", product, self._const(prefix + "bias", bias))

    def _quantize_rows(self, source: str) -> tuple[str, str]:
        """uint8 rows around the zero point, and their scales as a column (n_rows, 1)."""
        axis = self._ints("axis_1", 1)
        largest = self._op("ReduceMax", self._op("Abs", source), axis, keepdims=0)
        scale = self._op("Mul", largest, self._float("activation_step", 1 / _ACTIVATION_TOP))
        scale = self._op("Max", scale, self._float("smallest_scale", _SMALLEST_SCALE))
        fill = numpy_helper.from_array(np.array([_ZERO_POINT], dtype=np.uint8))
        zero_points = self._op("ConstantOfShape", self._op("Shape", scale), value=fill)
        quantized = self._op("QuantizeLinear", source, scale, zero_points, axis=0)
        return quantized, self._op("Unsqueeze", scale, axis)

    def _layer_norm(self, source: str, prefix: str) -> str:
        scale, bias = self._weight(prefix + "weight"), self._weight(prefix + "bias")
        return self._op("LayerNormalization", source, scale, bias, axis=-1, epsilon=_LAYER_NORM_EPS)

    def _op(self, kind: str, *inputs: str, output: str | None = None, **attributes: Any) -> str:
        name = output or f"{kind}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, list(inputs), [name], name=f"node_{name}", **attributes))
        return name

    def _weight(self, name: str) -> str:
        return self._const(name, self._tensors[name])

    def _ints(self, name: str, *values: int) -> str:
        return self._const(name, np.array(values, dtype=np.int64))

    def _float(self, name: str, value: float) -> str:
        return self._const(name, np.float32(value))

    def _const(self, name: str, value: NDArray[Any] | np.generic) -> str:
        if name not in self._constants:
            self._constants[name] = numpy_helper.from_array(np.asarray(value, order="C"), name)
        return name
