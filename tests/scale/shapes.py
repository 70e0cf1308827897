# SPDX-License-Identifier: Apache-2.0
"""Files made to cost more than their size: each shape is a product, a chain, a ring or a parcel.

Every function takes a size and a folder, writes what it needs into the folder and gives the file
and the arguments of `ebb` that read it. Twice the size is about twice the bytes.
"""
import json
import struct
import zipfile
import zlib


def graph(nodes, links=(), **more):
    return {"last_node_id": len(nodes), "last_link_id": len(links), "nodes": nodes,
            "links": list(links), "version": 0.4, **more}


def put(folder, name, content):
    path = folder / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def definition(name, nodes, links=(), inputs=(), outputs=()):
    return {"id": name, "name": name, "nodes": nodes, "links": list(links),
            "inputs": list(inputs), "outputs": list(outputs)}


# ---- texts --------------------------------------------------------------------------------------

def escapes(n, folder):
    """A text of nothing but escapes."""
    return put(folder, "escapes.json", '{"text": "' + "\\t" * n + '"}'), ["show"]


def comments(n, folder):
    """Comments that open and never close."""
    node = {"id": 1, "type": "CLIPTextEncode", "widgets_values": ["/*x" * n]}
    return put(folder, "comments.json", graph([node])), ["convert"]


def braces(n, folder):
    """Choices that open and never close."""
    node = {"id": 1, "type": "CLIPTextEncode", "widgets_values": ["{a|" * n]}
    return put(folder, "braces.json", graph([node])), ["convert"]


def names_in_names(n, folder):
    """A file name that names a long text over and over."""
    text = {"id": 1, "type": "CLIPTextEncode", "title": "A", "widgets_values": ["y" * n]}
    save = {"id": 2, "type": "SaveImage", "inputs": [], "widgets_values": ["%A.text%" * (n // 8)]}
    return put(folder, "names.json", graph([text, save])), ["convert"]


def long_class(n, folder):
    """A class name of half the file, and many steps that would tell of it."""
    prompt = samplers(n // 2000, 1)
    prompt["lat"] = {"class_type": "U" * n, "inputs": {}}
    return put(folder, "class.json", prompt), PLAN


def long_model(n, folder):
    """A model's name of half the file, and many samplers that use it."""
    prompt = samplers(n // 600, 2)
    prompt["m0"]["inputs"]["unet_name"] = "wan2.2_" + "x" * n + ".safetensors"
    return put(folder, "model.json", prompt), PLAN


def long_id(n, folder):
    """An id of half the file, and as many inputs that are doubtful."""
    prompt = {"i" * n: {"class_type": "A", "inputs": {f"a{i}": ["no", 0] for i in range(n // 20)}}}
    return put(folder, "id.json", prompt), ["show"]


def dangling(n, folder):
    """Links to a node that is not there, out of a class with a long name."""
    prompt = {"1": {"class_type": "F" * n, "inputs": {f"a{i}": ["0", 0] for i in range(n // 20)}}}
    return put(folder, "dangling.json", prompt), ["convert", "--repair"]


# ---- links --------------------------------------------------------------------------------------

def type_lists(n, folder):
    """Sockets whose types are long lists without a common member."""
    ours, theirs = ",".join("a" * (n // 4)), ",".join("b" * (n // 4))
    nodes = [{"id": 1, "type": "Source", "outputs": [{"name": "o", "type": ours, "links": [1]}]},
             {"id": 2, "type": "Passing", "mode": 4,
              "inputs": [{"name": f"i{k}", "type": theirs, "link": 1} for k in range(2)],
              "outputs": [{"name": "o", "type": ours, "links": [2]}]},
             {"id": 3, "type": "Sink", "inputs": [{"name": "x", "type": ours + "c", "link": 2}]}]
    links = [[1, 1, 0, 2, 0, "X"], [2, 2, 0, 3, 0, "X"]]
    return put(folder, "types.json", graph(nodes, links)), ["convert"]


def bypassed(n, folder):
    """A bypassed node of many inputs, none of which fits its many readers."""
    n //= 60
    nodes = [{"id": 1, "type": "Wide", "mode": 4,
              "inputs": [{"name": f"i{k}", "type": "A", "link": None} for k in range(n)],
              "outputs": [{"name": "o", "type": "B", "links": []}]}]
    nodes += [{"id": k + 2, "type": "Sink", "inputs": [{"name": "x", "type": "B", "link": k + 1}]}
              for k in range(n)]
    links = [[k + 1, 1, 0, k + 2, 0, "B"] for k in range(n)]
    return put(folder, "bypassed.json", graph(nodes, links)), ["convert"]


def ring(n, folder):
    """A ring of Reroutes, and as many nodes that read from it."""
    n //= 160
    nodes = [{"id": k + 1, "type": "Reroute", "inputs": [{"name": "", "type": "*", "link": k + 1}]}
             for k in range(n)]
    nodes += [{"id": n + k + 1, "type": "Sink",
               "inputs": [{"name": "x", "type": "X", "link": n + k + 1}]} for k in range(n)]
    links = [[k + 1, (k + 1) % n + 1, 0, k + 1, 0, "X"] for k in range(n)]
    links += [[n + k + 1, 1, 0, n + k + 1, 0, "X"] for k in range(n)]
    return put(folder, "ring.json", graph(nodes, links)), ["convert", "--repair"]


def small_rings(n, folder):
    """Many Reroutes that read themselves, and as many nodes that read one each."""
    n //= 160
    nodes = [{"id": k + 1, "type": "Reroute", "inputs": [{"name": "", "type": "*", "link": k + 1}]}
             for k in range(n)]
    nodes += [{"id": n + k + 1, "type": "Sink",
               "inputs": [{"name": "x", "type": "X", "link": n + k + 1}]} for k in range(n)]
    links = [[k + 1, k + 1, 0, k + 1, 0, "X"] for k in range(n)]
    links += [[n + k + 1, k + 1, 0, n + k + 1, 0, "X"] for k in range(n)]
    return put(folder, "rings.json", graph(nodes, links)), ["convert", "--repair"]


def chain(n, folder):
    """A long chain of Reroutes with a reader at its end for each of them."""
    n //= 160
    nodes = [{"id": 1, "type": "Source", "outputs": [{"name": "o", "type": "X"}]}]
    nodes += [{"id": k + 2, "type": "Reroute", "inputs": [{"name": "", "type": "*", "link": k + 1}]}
              for k in range(n)]
    nodes += [{"id": n + k + 2, "type": "Sink",
               "inputs": [{"name": "x", "type": "X", "link": n + k + 1}]} for k in range(n)]
    links = [[k + 1, k + 1, 0, k + 2, 0, "X"] for k in range(n)]
    links += [[n + k + 1, n + 1, 0, n + k + 2, 0, "X"] for k in range(n)]
    return put(folder, "chain.json", graph(nodes, links)), ["convert"]


def broadcasts(n, folder):
    """Links of "Anything Everywhere", all into one node of many inputs."""
    n //= 200
    nodes = [{"id": 1, "type": "Anything Everywhere", "outputs": [{"name": "o", "type": "X"}]},
             {"id": 2, "type": "Sink",
              "inputs": [{"name": f"i{k}", "type": "X", "link": None} for k in range(n)]}]
    more = [{"upstream": "1", "downstream": "2", "controller": "1", "upstream_slot": 0,
             "downstream_slot": k, "type": "X"} for k in range(n)]
    return put(folder, "broadcasts.json", graph(nodes, extra={"ue_links": more})), ["convert"]


def combined(n, folder):
    """Samplers that all read one long chain of combined conditionings."""
    n //= 560
    prompt = samplers(n, 1)
    last = ["pos", 0]
    for i in range(n):
        prompt[f"c{i}"] = {"class_type": "ConditioningCombine",
                           "inputs": {"conditioning_1": last, "conditioning_2": ["pos", 0]}}
        last = [f"c{i}", 0]
    for i in range(n):
        prompt[f"k{i}"]["inputs"]["positive"] = last
    return put(folder, "combined.json", prompt), PLAN


# ---- subgraphs and groups -----------------------------------------------------------------------

def copies(n, folder):
    """A definition with a long text, in many instances."""
    inner = definition("S", [{"id": 1, "type": "CLIPTextEncode", "widgets_values": ["x" * n]}])
    nodes = [{"id": i, "type": "S"} for i in range(1, n // 20)]
    return put(folder, "copies.json", graph(nodes, definitions={"subgraphs": [inner]})), PLAN


def doubling(n, folder):
    """Definitions that hold the next one twice: a few bytes more are twice the nodes."""
    depth = max(1, n.bit_length())
    inner = [definition(f"S{d}", [{"id": k, "type": f"S{d + 1}"} for k in (1, 2)])
             for d in range(depth)]
    inner.append(definition(f"S{depth}", [{"id": 1, "type": "Foo"}]))
    nodes = [{"id": 1, "type": "S0"}]
    return put(folder, "doubling.json", graph(nodes, definitions={"subgraphs": inner})), ["convert"]


def wide_definition(n, folder):
    """A definition with many inputs and inner readers, in several instances."""
    n //= 250
    inner = definition(
        "S", [{"id": k, "type": "Foo", "inputs": [{"name": "x", "type": "X", "link": k}]}
              for k in range(1, n + 1)],
        [{"id": k, "origin_id": -10, "origin_slot": k - 1, "target_id": k, "target_slot": 0,
          "type": "X"} for k in range(1, n + 1)],
        [{"name": f"i{k}", "type": "X", "linkIds": [k]} for k in range(1, n + 1)])
    nodes = [{"id": 1, "type": "S"}, {"id": 2, "type": "S"}]
    return put(folder, "wide.json", graph(nodes, definitions={"subgraphs": [inner]})), ["convert"]


def groups(n, folder):
    """Legacy group nodes: many instances of a description with many links and settings."""
    described = {"nodes": [{"type": "Foo", "inputs": [{"name": f"i{k}", "type": "X"}
                                                      for k in range(n // 200)]}],
                 "links": [[0, 0, 0, 0, 0, "X"]] * (n // 60), "external": [],
                 "config": {"0": {"input": {f"i{k}": {"visible": True}
                                            for k in range(n // 200)}}}}
    nodes = [{"id": i, "type": "workflow>G"} for i in range(1, n // 80)]
    return put(folder, "groups.json",
               graph(nodes, extra={"groupNodes": {"G": described}})), ["convert"]


def driven(n, folder):
    """One long value that a PrimitiveNode writes into many widgets."""
    count = n // 250
    nodes = [{"id": 1, "type": "PrimitiveNode", "widgets_values": ["x" * n],
              "outputs": [{"name": "o", "type": "STRING", "links": []}]}]
    nodes += [{"id": k + 2, "type": "CLIPTextEncode", "widgets_values": [""],
               "inputs": [{"name": "text", "type": "STRING", "widget": {"name": "text"},
                           "link": k + 1}]} for k in range(count)]
    links = [[k + 1, 1, 0, k + 2, 0, "STRING"] for k in range(count)]
    return put(folder, "driven.json", graph(nodes, links)), ["convert"]


def bare_nodes(n, folder):
    """Nodes of a class with many inputs, in as few bytes as a node can have."""
    nodes = [{"id": k, "type": "KSampler"} for k in range(n // 30)]
    return put(folder, "bare.json", json.dumps(graph(nodes), separators=(",", ":"))), ["convert"]


# ---- patches ------------------------------------------------------------------------------------

def marked(n, folder):
    """Nodes that carry Ebb's mark, in a row."""
    n //= 260
    nodes = [{"id": k + 1, "type": "UnloadModels", "properties": {"ebb": {"version": "0.1.0"}},
              "inputs": [{"name": "anything", "type": "*", "link": k + 1}],
              "outputs": [{"name": "anything", "type": "*", "links": [k + 2]}]} for k in range(n)]
    links = [[k + 1, k, 0, k + 1, 0, "*"] for k in range(1, n)]
    return put(folder, "marked.json", graph(nodes, links)), ["undo"]


def records(n, folder):
    """Marks with records of undo that all look right until their checksum is compared."""
    n //= 160
    record = json.dumps([1, 1, [[0, -1, ""]]])
    nodes = [{"id": k + 1, "type": "UnloadModels",
              "properties": {"ebb": {"version": "0.1.0", "undo": record}}} for k in range(n)]
    return put(folder, "records.json", graph(nodes)), ["undo"]


def cleaners(n, folder):
    """Cleanup nodes of another pack, each with a link in and out."""
    n //= 260
    nodes = [{"id": k + 1, "type": "VRAM_Debug",
              "inputs": [{"name": "any_input", "type": "*", "link": k + 1}],
              "outputs": [{"name": "any_output", "type": "*", "links": [k + 2]}]} for k in range(n)]
    links = [[k + 1, k, 0, k + 1, 0, "*"] for k in range(1, n)]
    return put(folder, "cleaners.json",
               graph(nodes, links)), ["clean", "--remove", "--force", "-o", str(folder / "out")]


def switches(n, folder):
    """Samplers of two models in turn: a place for an unload node after every one of them."""
    return put(folder, "switches.json", samplers(n // 400, 2)), ["apply", "--with", "UnloadModels"]


def branches(n, folder):
    """Samplers of a model and an output each: every order of the outputs has other switches."""
    count = n // 600
    return put(folder, "branches.json", samplers(count, count, chained=False)), [
        "apply", "--with", "UnloadModels"]


def merged(n, folder):
    """Many models that are merged into one, step by step."""
    count = n // 350
    prompt = samplers(1, count)
    last = ["m0", 0]
    for i in range(1, count):
        prompt[f"merge{i}"] = {"class_type": "ModelMergeSimple", "inputs": {
            "model1": last, "model2": [f"m{i}", 0], "ratio": 0.5}}
        last = [f"merge{i}", 0]
    prompt["k0"]["inputs"]["model"] = last
    return put(folder, "merged.json", prompt), ["apply", "--with", "UnloadModels"]


def drawn(n, folder):
    """Samplers of two models in turn on one spot of a canvas, which nodes fill far around."""
    count = n // 1200
    nodes = [{"id": 1, "type": "UNETLoader", "widgets_values": ["a.safetensors", "default"],
              "outputs": [{"name": "MODEL", "type": "MODEL", "links": []}]},
             {"id": 2, "type": "UNETLoader", "widgets_values": ["b.safetensors", "default"],
              "outputs": [{"name": "MODEL", "type": "MODEL", "links": []}]},
             {"id": 3, "type": "EmptyLatentImage", "widgets_values": [512, 512, 1],
              "outputs": [{"name": "LATENT", "type": "LATENT", "links": []}]}]
    links = []

    def link(origin, target, slot, kind):
        links.append([len(links) + 1, origin, 0, target, slot, kind])
        return len(links)

    for k in range(count):
        own, before = k + 4, k + 3
        nodes.append({
            "id": own, "type": "KSampler", "pos": [0, 0], "size": [5000, 5000],
            "inputs": [{"name": "model", "type": "MODEL", "link": link(1 + k % 2, own, 0, "MODEL")},
                       {"name": "latent_image", "type": "LATENT",
                        "link": link(before, own, 3, "LATENT")}],
            "outputs": [{"name": "LATENT", "type": "LATENT", "links": []}],
            "widgets_values": [k, "fixed", 20, 5.0, "euler", "simple", 1.0]})
    nodes.append({"id": count + 4, "type": "SaveLatent", "widgets_values": ["x"],
                  "inputs": [{"name": "samples", "type": "LATENT",
                              "link": link(count + 3, count + 4, 0, "LATENT")}]})
    return put(folder, "drawn.json", graph(nodes, links)), ["apply", "--with", "UnloadModels"]


def tiles(n, folder):
    """Decoders that would all be decoded in tiles, with too little RAM for a plan of any size."""
    return put(folder, "tiles.json", samplers(n // 700, 1, chained=False)), [
        "apply", "--only", "tile-vae", *PLAN[1:4], "16GiB", *PLAN[5:]]


# ---- plans --------------------------------------------------------------------------------------

PLAN = ["plan", "--vram", "24GiB", "--ram", "64GiB", "--os", "linux", "--comfyui", "0.3.73"]


def samplers(count, models, chained=True):
    """An API prompt of samplers, each with the next of some models."""
    prompt = {f"m{m}": {"class_type": "UNETLoader", "inputs": {
        "unet_name": f"wan2.2_t2v_high_noise_14B_fp8_{m}.safetensors",
        "weight_dtype": "default"}} for m in range(models)}
    prompt["clip"] = {"class_type": "CLIPLoader", "inputs": {
        "clip_name": "umt5_xxl_fp8_e4m3fn_scaled.safetensors", "type": "wan", "device": "default"}}
    prompt["vae"] = {"class_type": "VAELoader", "inputs": {"vae_name": "wan_2.1_vae.safetensors"}}
    prompt["pos"] = {"class_type": "CLIPTextEncode", "inputs": {"text": "x", "clip": ["clip", 0]}}
    prompt["lat"] = {"class_type": "EmptyHunyuanLatentVideo", "inputs": {
        "width": 832, "height": 480, "length": 81, "batch_size": 1}}
    last = ["lat", 0]
    for i in range(count):
        prompt[f"k{i}"] = {"class_type": "KSampler", "inputs": {
            "model": [f"m{i % models}", 0], "positive": ["pos", 0], "negative": ["pos", 0],
            "latent_image": last if chained else ["lat", 0], "seed": i, "steps": 20, "cfg": 5.0,
            "sampler_name": "euler", "scheduler": "simple", "denoise": 1.0}}
        last = [f"k{i}", 0]
        if not chained:
            prompt[f"d{i}"] = {"class_type": "VAEDecode",
                               "inputs": {"samples": last, "vae": ["vae", 0]}}
            prompt[f"s{i}"] = {"class_type": "SaveImage",
                               "inputs": {"images": [f"d{i}", 0], "filename_prefix": "x"}}
    if chained:
        prompt["d"] = {"class_type": "VAEDecode", "inputs": {"samples": last, "vae": ["vae", 0]}}
        prompt["s"] = {"class_type": "SaveImage",
                       "inputs": {"images": ["d", 0], "filename_prefix": "x"}}
    return prompt


def many_passes(n, folder):
    """As many models as samplers."""
    count = max(2, n // 700)
    return put(folder, "passes.json", samplers(count, count, chained=False)), PLAN


def many_samplers(n, folder):
    """Two models and a long row of samplers."""
    return put(folder, "samplers.json", samplers(n // 300, 2)), PLAN


def unknown_models(n, folder):
    """Names that no folder has, in a folder of many files."""
    count = n // 400
    models = folder / "models"
    (models / "diffusion_models").mkdir(parents=True, exist_ok=True)
    for k in range(count * 4):
        (models / "diffusion_models" / f"{k}.safetensors").touch()
    return put(folder, "unknown.json", samplers(count, count)), [*PLAN, "--models", str(models)]


def model_paths(n, folder):
    """Lines and lines of folders in extra_model_paths.yaml."""
    models = folder / "models"
    (models / "vae").mkdir(parents=True, exist_ok=True)
    lines = "\n".join(f"    folder_{k}/" for k in range(n // 16))
    put(folder, "extra_model_paths.yaml", f"a:\n  diffusion_models: |\n{lines}\n")
    return put(folder, "paths.json", samplers(2, 2)), [*PLAN, "--models", str(models)]


def torch_shapes(n, folder):
    """A torch file whose tensors all have one shape, of very many dimensions."""
    def text(word):
        return b"X" + struct.pack("<I", len(word)) + word.encode()
    pickle = (b"\x80\x02(" + b"K\x01" * (n // 4) + b"tr\x01\0\0\x000(" + text("storage") +
              b"ctorch\nFloatStorage\n" + text("0") + text("cpu") + b"K\x04tQr\x02\0\0\x000"
              b"ctorch._utils\n_rebuild_tensor_v2\nr\x03\0\0\x000}(")
    for k in range(n // 40):
        pickle += text(f"k{k}") + b"h\x03(h\x02K\x00h\x01h\x01tR"
    models = folder / "models" / "diffusion_models"
    models.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(models / "shapes.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", pickle + b"u.")
        archive.writestr("archive/data/0", b"\0" * 16)
    prompt = samplers(1, 1)
    prompt["m0"]["inputs"]["unet_name"] = "shapes.pth"
    return put(folder, "torch.json", prompt), [*PLAN, "--models", str(folder / "models")]


# ---- media --------------------------------------------------------------------------------------

def exif(n, folder):
    """Marks of EXIF whose directories all name the same long text."""
    marks = n // 200
    head = struct.pack(">I", 32) + b"ftypavif" + b"\0" * 20
    directory = len(head) + 8 * marks
    entries = n // 40
    content = head + b"".join(b"II*\0" + struct.pack("<I", directory - len(head) - 8 * k)
                              for k in range(marks))
    content += struct.pack("<H", min(entries, 1000))
    content += struct.pack("<HHII", 0x10F, 2, 0x7FFFFFFF, 8) * entries + b"A" * (n // 2)
    return put(folder, "exif.avif", content), ["show"]


def packed(n, folder, key=b"workflow", count=1):
    """A PNG whose text unpacks to a thousand times its size."""
    def chunk(kind, data):
        crc = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + crc
    text = zlib.compress(b"[" + b"1," * (n * 400 // count) + b"1]", 9)
    return put(folder, "packed.png", b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", b"\0" * 13) +
               chunk(b"zTXt", key + b"\0\0" + text) * count + chunk(b"IEND", b"")), ["show"]


def packed_elsewhere(n, folder):
    """The same under a key that nobody asks for, several times."""
    return packed(n, folder, b"other", 4)


def long_keys(n, folder):
    """An MP4 whose items all have one very long key."""
    def box(kind, content):
        return struct.pack(">I", 8 + len(content)) + kind + content
    keys = box(b"keys", struct.pack(">II", 0, 1) + box(b"mdta", b"K" * (n // 2)))
    items = box(struct.pack(">I", 1), box(b"data", b"\0" * 8)) * (n // 48)
    content = box(b"ftyp", b"isom") + box(b"moov", box(b"udta", box(
        b"meta", b"\0" * 4 + box(b"hdlr", b"\0" * 8) + keys + box(b"ilst", items))))
    return put(folder, "keys.mp4", content), ["show"]


SHAPES = [escapes, comments, braces, names_in_names, long_class, long_model,
          long_id, dangling, type_lists,
          bypassed, ring, small_rings, chain, broadcasts, combined, copies, doubling,
          wide_definition, groups, driven, bare_nodes, marked, records, cleaners, switches,
          branches, merged, drawn, tiles,
          many_passes, many_samplers, unknown_models, model_paths, torch_shapes, exif, packed,
          packed_elsewhere, long_keys]
