"""Marrow's exports are written for every reader; the peers of this comparison get the operators that suit them best."""

import onnx
from onnx import helper


def hard_sigmoid_is(node, beta):
    values = {a.name: a.f for a in node.attribute}
    return node.op_type == "HardSigmoid" and abs(values.get("alpha", 0.2) - 1 / 6) < 1e-6 and \
        abs(values.get("beta", 0.5) - beta) < 1e-6


def activation(gate, product, sixes):
    """The one operator that `gate`, a HardSigmoid, and `product`, its only user, make together; or None."""
    other = next((name for name in product.input if name != gate.output[0]), None)
    if hard_sigmoid_is(gate, 0) and other in sixes:
        return helper.make_node("Clip", [gate.input[0], "relu6_low", "relu6_high"], product.output, name=product.name)
    if hard_sigmoid_is(gate, 0.5) and other == gate.input[0]:
        return helper.make_node("HardSwish", [other], product.output, name=product.name)
    return None


def suit_peers(source, target):
    """6 * HardSigmoid becomes Clip, x * HardSigmoid becomes HardSwish, of opset 14; the file `source` becomes `target`."""
    model = onnx.load(source)
    graph = model.graph
    users = {}
    for node in graph.node:
        for name in node.input:
            users.setdefault(name, []).append(node)
    sixes = {t.name for t in graph.initializer if (values := onnx.numpy_helper.to_array(t)).size == 1 and values.item() == 6}
    replaced = {}  # by the name of an output: what computes it, or nothing
    for gate in graph.node:
        using = users.get(gate.output[0], [])
        if gate.op_type == "HardSigmoid" and len(using) == 1 and using[0].op_type == "Mul":
            node = activation(gate, using[0], sixes)
            if node is not None:
                replaced[gate.output[0]], replaced[node.output[0]] = None, node
    nodes = [replaced.get(node.output[0], node) for node in graph.node]
    del graph.node[:]
    graph.node.extend(node for node in nodes if node is not None)
    graph.initializer.append(helper.make_tensor("relu6_low", onnx.TensorProto.FLOAT, [], [0.0]))
    graph.initializer.append(helper.make_tensor("relu6_high", onnx.TensorProto.FLOAT, [], [6.0]))
    model.opset_import[0].version = max(model.opset_import[0].version, 14)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, target)
