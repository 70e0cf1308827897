# SPDX-License-Identifier: Apache-2.0
"""A second, smaller reading of a saved graph: what runs, with which values.

It shares nothing with Ebb, so that it can contradict it. Of the front end's rules it has those
that official templates use: subgraphs, whose face values win (front ends since 1.49), muted and
bypassed nodes, Reroutes, primitives, dynamic combos. Numbers that nodes compute from constants
(switches, arithmetic, sizes by proportion) are computed; what depends on a file that is not there
is None.
"""
import ast
import math
import operator
import os

CONTROL = ("fixed", "increment", "decrement", "randomize", "increment-wrap")
WIDGETS = ("INT", "FLOAT", "STRING", "BOOLEAN", "COMBO", "COMFY_DYNAMICCOMBO_V3")
NOTES = ("Note", "MarkdownNote")
MODEL_ENDS = (".safetensors", ".ckpt", ".pth", ".pt", ".gguf", ".bin", ".onnx", ".sft")
MUTED, BYPASSED = 2, 4


class Link:
    """The output of a node that runs."""

    def __init__(self, node, slot):
        self.node, self.slot = node, slot


class Scope:
    """The root graph, or one instance of a subgraph."""

    def __init__(self, graph, prefix, outer=None, instance=None):
        self.nodes = {str(node["id"]): node for node in graph["nodes"]}
        self.links = {}
        for link in graph.get("links") or []:
            if isinstance(link, dict):
                self.links[link["id"]] = (str(link["origin_id"]), link["origin_slot"])
            else:
                self.links[link[0]] = (str(link[1]), link[2])
        self.graph, self.prefix, self.outer, self.instance = graph, prefix, outer, instance
        self.face = {}  # name of a definition's input -> value on the instance


def types_of(definition):
    """What an input takes, and what else its definition says."""
    kind = definition[0]
    extra = definition[1] if len(definition) > 1 else {}
    return ("COMBO" if isinstance(kind, list) else kind), extra


def is_widget(kind, extra):
    if extra.get("forceInput"):
        return False
    return kind in WIDGETS or bool(extra.get("widgetType"))


def renumber(data):
    """Ids inside definitions that another graph has are counted on, as the front end does it."""
    taken = {node["id"] for node in data["nodes"]}
    last = data.get("last_node_id") or 0
    for graph in (data.get("definitions") or {}).get("subgraphs") or []:
        new = {}
        for node in graph["nodes"]:
            if node["id"] in taken and isinstance(node["id"], int):
                last += 1
                while last in taken:
                    last += 1
                new[node["id"]] = last
                node["id"] = last
            elif isinstance(node["id"], int):
                last = max(last, node["id"])
            taken.add(node["id"])
        for link in graph.get("links") or []:
            for end in ("origin_id", "target_id"):
                link[end] = new.get(link[end], link[end])


class Reader:
    def __init__(self, data, definitions):
        self.definitions = definitions
        renumber(data)
        self.subgraphs = {sub["id"]: sub for sub in
                          (data.get("definitions") or {}).get("subgraphs") or []}
        self.scopes, self.prompt = [], {}
        self.open_scope(Scope(data, ""))
        for scope in self.scopes:
            for node in scope.nodes.values():
                if self.runs(node):
                    key = scope.prefix + str(node["id"])
                    self.prompt[key] = (node["type"], self.inputs_of(scope, node))
        for _, inputs in self.prompt.values():
            for name, value in list(inputs.items()):
                if isinstance(value, Link) and value.node not in self.prompt:
                    del inputs[name]

    def runs(self, node):
        return (node.get("mode", 0) not in (MUTED, BYPASSED) and node["type"] not in NOTES and
                node["type"] not in ("Reroute", "PrimitiveNode") and
                node["type"] not in self.subgraphs)

    def open_scope(self, scope):
        self.scopes.append(scope)
        for node in scope.nodes.values():
            graph = self.subgraphs.get(node["type"])
            if graph and node.get("mode", 0) not in (MUTED, BYPASSED):
                inner = Scope(graph, f"{scope.prefix}{node['id']}:", scope, node)
                inner.face = self.face_values(inner)
                self.open_scope(inner)

    def face_values(self, scope):
        """Values of an instance's own widgets, by the definition's inputs that end at a widget."""
        values = scope.instance.get("widgets_values")
        if not isinstance(values, list):
            return {}
        names = []
        for given in scope.graph.get("inputs") or []:
            for target in scope.nodes.values():
                sockets = [s for s in target.get("inputs") or []
                           if s.get("link") in (given.get("linkIds") or []) and s.get("widget")]
                if sockets:
                    names.append(given["name"])
                    break
        proxies = (scope.instance.get("properties") or {}).get("proxyWidgets")
        if proxies and any(str(owner) != "-1" for owner, *_ in proxies):
            # The list follows the proxies; those that name an inner node keep that node's value.
            own = [name if str(owner) == "-1" else None for owner, name, *_ in proxies]
            if any(own):
                return {name: value for name, value in zip(own, values) if name}
        return dict(zip(names, values))

    def widget_values(self, node):
        """Name -> value, as the definition orders them, else as the file's own sockets do."""
        values = node.get("widgets_values")
        if isinstance(values, dict):
            return dict(values)
        values = list(values or [])
        known = self.definitions.get(node["type"])
        if known:
            ordered = known.get("input_order") or {k: list(v) for k, v in known["input"].items()}
            inputs = [(name, known["input"][part][name]) for part in ("required", "optional")
                      for name in ordered.get(part) or []]
            return self.named(inputs, values, "")
        names = [s["widget"]["name"] for s in node.get("inputs") or [] if s.get("widget")]
        found = {}
        for name in names:
            if not values:
                break
            found[name] = values.pop(0)
            if values and (name in ("seed", "noise_seed") or len(values) > len(names)) \
                    and values[0] in CONTROL:
                values.pop(0)
        return found

    def named(self, inputs, values, prefix):
        found = {}
        for name, definition in inputs:
            kind, extra = types_of(definition)
            if not is_widget(kind, extra):
                continue
            if not values:
                if kind == "COMFY_DYNAMICCOMBO_V3":
                    continue
                options = definition[0] if isinstance(definition[0], list) else extra.get("options")
                default = extra.get("default", options[0] if options else None)
                if default is not None:
                    found[prefix + name] = default
                continue
            value = found[prefix + name] = values.pop(0)
            seed = name in ("seed", "noise_seed") and "control_after_generate" not in extra
            if (seed or extra.get("control_after_generate")) and values:
                values.pop(0)
            if kind == "COMFY_DYNAMICCOMBO_V3":
                for option in extra.get("options") or []:
                    if option["key"] == value:
                        parts = option["inputs"]
                        below = [item for part in ("required", "optional")
                                 for item in (parts.get(part) or {}).items()]
                        found.update(self.named(below, values, f"{prefix}{name}."))
        return found

    def inputs_of(self, scope, node):
        inputs = self.widget_values(node)
        for socket in node.get("inputs") or []:
            if socket.get("link") is not None:
                value = self.follow(scope, socket["link"], socket.get("type") or "*")
                if value is not None:
                    inputs[socket["name"]] = value[0] if isinstance(value, tuple) else value
        return inputs

    def follow(self, scope, link, wanted):
        """A Link, a value in a tuple, or None where nothing comes."""
        for _ in range(1000):
            if link not in scope.links:
                return None
            origin, slot = scope.links[link]
            if origin == "-10":
                given = scope.graph["inputs"][slot]["name"]
                socket = next((s for s in scope.instance.get("inputs") or []
                               if s["name"] == given), {})
                if socket.get("link") is None:
                    return (scope.face[given],) if given in scope.face else None
                outer = self.follow(scope.outer, socket["link"], wanted)
                if outer is None and given in scope.face:
                    return (scope.face[given],)
                return outer
            node = scope.nodes.get(origin)
            if node is None:
                return None
            mode = node.get("mode", 0)
            if node["type"] == "PrimitiveNode":
                values = node.get("widgets_values") or []
                return (values[0],) if values else None
            if mode == MUTED:
                return None
            sockets = node.get("inputs") or []
            if node["type"] == "Reroute":
                link = sockets[0].get("link") if sockets else None
            elif mode == BYPASSED:
                link = self.passed(node, sockets, slot, wanted)
            elif node["type"] in self.subgraphs:
                inner = next(s for s in self.scopes if s.instance is node and s.outer is scope)
                ends = inner.graph["outputs"][slot].get("linkIds") or []
                ends = [end for end in ends if end in inner.links]
                return self.follow(inner, ends[0], wanted) if ends else None
            else:
                return Link(scope.prefix + origin, slot)
        return None

    @staticmethod
    def passed(node, sockets, slot, wanted):
        """The link that a bypassed node lets through to a socket of the wanted type."""
        def fits(a, b):
            a, b = str(a), str(b)
            return "*" in (a, b) or bool(set(a.split(",")) & set(b.split(",")))

        out = node["outputs"][slot].get("type") if slot < len(node.get("outputs") or []) else "*"
        if wanted == "*":
            wanted = out or "*"
        order = sockets[slot:slot + 1] if slot < len(sockets) else []
        for socket in order:
            if fits(socket.get("type"), out) and fits(socket.get("type"), wanted):
                return socket.get("link")
        for exact in (True, False):
            for socket in sockets:
                kind = socket.get("type")
                if kind == wanted if exact else fits(kind, wanted) and fits(kind, out):
                    return socket.get("link")
        return None


def whole(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


ARITHMETIC = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul,
              ast.Div: operator.truediv, ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod,
              ast.Pow: operator.pow, ast.USub: operator.neg, ast.Gt: operator.gt,
              ast.GtE: operator.ge, ast.Lt: operator.lt, ast.LtE: operator.le, ast.Eq: operator.eq,
              ast.BitAnd: operator.and_, ast.Invert: operator.invert}
CALLS = {"min": min, "max": max, "round": round, "int": int, "ceil": math.ceil,
         "floor": math.floor, "abs": abs, "float": float,
         "log2": math.log2}


def calculate(text, names):
    """The value of a formula of numbers, or None."""
    def value(node):
        if isinstance(node, ast.Constant):
            return node.value
        if isinstance(node, ast.Name):
            return names[node.id]
        if isinstance(node, ast.BinOp):
            return ARITHMETIC[type(node.op)](value(node.left), value(node.right))
        if isinstance(node, ast.UnaryOp):
            return ARITHMETIC[type(node.op)](value(node.operand))
        if isinstance(node, ast.Compare) and len(node.ops) == 1:
            return ARITHMETIC[type(node.ops[0])](value(node.left), value(node.comparators[0]))
        if isinstance(node, ast.BoolOp):
            parts = [value(x) for x in node.values]
            return all(parts) if isinstance(node.op, ast.And) else any(parts)
        if isinstance(node, ast.IfExp):
            return value(node.body if value(node.test) else node.orelse)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            return CALLS[node.func.id](*[value(x) for x in node.args])
        raise ValueError(text)

    try:
        return value(ast.parse(text.strip(), mode="eval").body)
    except (ValueError, KeyError, TypeError, SyntaxError, ZeroDivisionError, OverflowError):
        return None


class Graph:
    """What is executed of a prompt, and the constants in it."""

    def __init__(self, prompt, definitions):
        self.prompt, self.definitions = prompt, definitions
        self.memo, self.signatures = {}, {}
        consumed = {value.node for _, inputs in prompt.values() for value in inputs.values()
                    if isinstance(value, Link)}
        self.outputs = [key for key, (cls, _) in prompt.items()
                        if self.is_output(cls, key in consumed)]
        self.executed = set()
        for key in self.outputs:
            self.need(key)

    def is_output(self, cls, has_consumer):
        if cls in self.definitions:
            return bool(self.definitions[cls].get("output_node"))
        return cls.startswith(("Save", "Preview")) or not has_consumer and "Note" not in cls

    def need(self, key):
        """A node, and everything that it waits for; a switch waits for the chosen side alone."""
        todo = [key]
        while todo:
            key = todo.pop()
            if key in self.executed or key not in self.prompt:
                continue
            self.executed.add(key)
            cls, inputs = self.prompt[key]
            chosen = self.chosen(cls, inputs)
            todo += [value.node for name, value in inputs.items() if isinstance(value, Link) and
                     (chosen is None or name in chosen)]

    def chosen(self, cls, inputs):
        """Names of the inputs that a lazy node waits for; None: all of them."""
        if cls == "ComfySwitchNode":
            on = self.constant(inputs.get("switch"))
            if on is not None:
                return ("switch", "on_true" if on else "on_false")
        if cls == "ComfySoftSwitchNode":
            on = self.constant(inputs.get("switch"))
            side = "on_true" if on else "on_false"
            if on is not None and side in inputs:
                return ("switch", side)
        return None

    def constant(self, value):
        """A number, text or truth value; None where it comes from something that is not known."""
        if not isinstance(value, Link):
            return value
        at = (value.node, value.slot)
        if at not in self.memo:
            self.memo[at] = None  # a circle has no value
            cls, inputs = self.prompt[value.node]
            self.memo[at] = self.evaluate(cls, inputs, value.slot)
        return self.memo[at]

    def evaluate(self, cls, inputs, slot):
        get = lambda name: self.constant(inputs.get(name))
        if cls.startswith("Primitive"):
            return get("value")
        if cls == "ComfySwitchNode":
            on = get("switch")
            return None if on is None else get("on_true" if on else "on_false")
        if cls == "CustomCombo":
            return get("choice") if slot == 0 else get("index")
        if cls == "ComfyNumberConvert":
            number = get("value")
            try:
                return float(number) if slot == 0 else int(float(number))
            except (TypeError, ValueError):
                return None
        if cls == "ComfyMathExpression":
            names = {name.split(".")[-1]: self.constant(v) for name, v in inputs.items()
                     if name != "expression"}
            if None in names.values() or not isinstance(get("expression"), str):
                return None
            result = calculate(get("expression"), names)
            return None if result is None else (float, int, bool)[slot](result)
        if cls == "ResolutionSelector":
            return self.resolution(inputs, slot)
        return None

    def resolution(self, inputs, slot):
        """Width or height of a proportion and a number of pixels."""
        ratio, pixels, step = (self.constant(inputs.get(name)) for name in
                               ("aspect_ratio", "megapixels", "multiple"))
        try:
            across, down = (float(x) for x in str(ratio).split(" ")[0].split(":"))
            scale = math.sqrt(pixels * 1024 * 1024 / (across * down))
        except (TypeError, ValueError, ZeroDivisionError):
            return None
        step = step or 8
        return max(step, round((across, down)[slot] * scale / step) * step) if slot < 2 else None

    def signature(self, key):
        """Equal for nodes of one class with the same inputs all the way up."""
        if key not in self.signatures:
            cls, inputs = self.prompt[key]
            self.signatures[key] = "circle"
            parts = [f"{name}={self.signature(v.node)}.{v.slot}" if isinstance(v, Link) else
                     f"{name}={v!r}" for name, v in sorted(inputs.items())]
            self.signatures[key] = str(hash((cls, *parts)))
        return self.signatures[key]

    def models(self):
        """(node, input, file) of every model file that an executed node loads."""
        for key in sorted(self.executed):
            cls, inputs = self.prompt[key]
            for name in inputs:
                value = self.constant(inputs[name])
                if isinstance(value, str) and value.lower().endswith(MODEL_ENDS) and \
                        "\n" not in value and not self.is_no_load(cls, inputs):
                    yield key, name, os.path.basename(value.replace("\\", "/"))

    def is_no_load(self, cls, inputs):
        strengths = [self.constant(v) for name, v in inputs.items() if name.startswith("strength")]
        if "Lora" in cls and strengths and all(s == 0 for s in strengths):
            return True  # ComfyUI hands the model on without opening the file
        return cls.startswith(("Primitive", "String", "Regex", "CustomCombo", "Json"))

    def steps(self, key):
        """Steps that a sampler makes: 0 for other nodes, None where they are not known."""
        cls, inputs = self.prompt[key]
        get = lambda name: self.constant(inputs.get(name))
        if cls == "KSamplerAdvanced":
            steps, start, end = get("steps"), get("start_at_step"), get("end_at_step")
            if None in (steps, start, end):
                return None
            return max(0, min(steps, end) - min(start, steps)) or None
        if cls.startswith("KSampler") and "steps" in inputs:
            return get("steps")
        if cls in ("SamplerCustom", "SamplerCustomAdvanced"):
            return self.sigmas(inputs.get("sigmas"))
        return 0

    def sigmas(self, value, depth=0):
        if not isinstance(value, Link) or depth > 20:
            return None
        cls, inputs = self.prompt[value.node]
        if cls == "ManualSigmas":
            text = self.constant(inputs.get("sigmas"))
            return len(str(text).replace(",", " ").split()) - 1 if text else None
        if cls == "SplitSigmas":
            total = self.sigmas(inputs.get("sigmas"), depth + 1)
            at = self.constant(inputs.get("step"))
            if None in (total, at):
                return None
            return min(at, total) if value.slot == 0 else max(0, total - at)
        if cls == "SetFirstSigma":
            return self.sigmas(inputs.get("sigmas"), depth + 1)
        if cls == "ComfySwitchNode":
            on = self.constant(inputs.get("switch"))
            side = inputs.get("on_true" if on else "on_false")
            return None if on is None else self.sigmas(side, depth + 1)
        if cls.endswith("Scheduler") and cls != "SDTurboScheduler":
            return self.constant(inputs.get("steps"))
        return None

    def pictures(self):
        """Width and height that executed nodes make latents of; None among them: not known."""
        found = set()
        for key in self.executed:
            cls, inputs = self.prompt[key]
            makes = ("Latent" in cls or "ToVideo" in cls or "Video" in cls and "Load" not in cls)
            if makes and "width" in inputs and "height" in inputs:
                size = self.constant(inputs["width"]), self.constant(inputs["height"])
                found.add(None if None in size or not all(map(whole, size)) else size)
        return found

    def lengths(self):
        """Frames that executed nodes make; None among them: not known."""
        found = set()
        for key in self.executed:
            cls, inputs = self.prompt[key]
            if ("Video" in cls or "Latent" in cls) and "length" in inputs:
                length = self.constant(inputs["length"])
                found.add(length if whole(length) else None)
        return found
