# SPDX-License-Identifier: Apache-2.0
"""What ComfyUI tells of a run's progress, and what can be asked of it."""
from ..log import log
from .about import module


def node_id():
    """Id of the node that is executing, or ""."""
    context = getattr(module("comfy_execution.utils"), "get_executing_context", bool)()
    return context.node_id if context else ""


def _watch(name, **handlers):
    """Has the run that is starting call these; False where a version has no such way."""
    progress = module("comfy_execution.progress")
    base = getattr(progress, "ProgressHandler", None)
    if base is None or not hasattr(progress, "add_progress_handler"):
        return False
    silent = dict.fromkeys(("start_handler", "update_handler", "finish_handler"),
                           lambda *_, **__: None)
    progress.add_progress_handler(type("Watcher", (base,), {**silent, **handlers})(name))
    return True


def watch(on_start, on_finish):
    """Calls on_start(node id) and on_finish(node id) for each node of the run that is starting.

    on_finish(None) as the next one begins. False where a version has no such way.
    """
    return _watch("ebb", start_handler=lambda _, node_id, state, prompt_id: on_start(node_id),
                  finish_handler=lambda _, node_id, state, prompt_id: on_finish(node_id),
                  reset=lambda _: on_finish(None))


def at_next_run(call):
    """Calls once as the next run begins, before ComfyUI looks what of it is cached."""
    def reset(_):
        try:
            call()
        except Exception as error:  # it is called from inside the executor
            log.debug("[Ebb] between runs: %s: %s", type(error).__name__, error)
    _watch("ebb-between", reset=reset)


def _state():
    return getattr(module("comfy_execution.progress"), "get_progress_state", bool)()


def prompt_in_progress():
    """(prompt id, function from node id to class name) of the prompt that starts or runs."""
    state = _state()

    def class_of(node):
        prompt = getattr(state, "dynprompt", None)
        return prompt.get_node(node)["class_type"] if prompt and prompt.has_node(node) else ""
    return getattr(state, "prompt_id", ""), class_of


def running_nodes():
    """Ids of the nodes that execute now."""
    nodes = getattr(_state(), "nodes", {})
    return [node for node, state in list(nodes.items())
            if getattr(state.get("state"), "value", "") == "running"]
