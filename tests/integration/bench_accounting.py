"""Does ttm-bench's book-keeping add up? Usage: bench_accounting.py DEVICE [BACKEND:TEXT]

Takes profiled steps with ttm-bench train and generate on DEVICE (as --backend takes it) and checks, from the JSON
alone: ops and gaps on the device's clock make up each step on the host's; the groups of entries cut the same time; the
kinds of memory make up the plan; every member is documented; the trace keeps to the trace-event format, nests, and holds the time that the result
says. Then the checks themselves are checked: with each of several faults put into the data they must complain.

With BACKEND:TEXT the test is skipped where that backend has no device with TEXT in its name.
"""
import copy
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile

TOOLS = os.environ["TTM_TOOLS"]
TOLERANCE = 0.03  # of a step, between two clocks
SIZES = "--preset gpt2-tiny-ttm16 --layers 2 --batch 2 --no-roofs --quiet".split()


def samples(entry):
    return entry["samples_ns"][0]


def entry_named(result, group, name):
    return next(e for e in result["entries"] if e["group"] == group and e["name"] == name)


def check_step(result):
    """Problems in the accounts of profiled steps, as a list of sentences."""
    problems = []
    wall, device, ops, gaps = (samples(entry_named(result, "profile", name)) for name in ("wall", "device", "ops", "gaps"))
    if not len(wall) == len(device) == len(ops) == len(gaps) >= 5:
        return ["steps are missing"]
    both = statistics.median((o + g) / w for o, g, w in zip(ops, gaps, wall))
    if abs(both - 1) > TOLERANCE:
        problems.append(f"ops and gaps are {both:.4f} of the step's wall time")
    if abs(both - result["step"]["ops_and_gaps_over_wall"]) > 1e-6:
        problems.append("ops_and_gaps_over_wall isn't what the samples say")
    if min(min(ops), min(gaps)) < 0:
        problems.append("a negative time")
    for step, (o, g, d) in enumerate(zip(ops, gaps, device)):
        if abs(o + g - d) > 0.001 * d + 100:
            problems.append(f"step {step}: ops {o} and gaps {g} aren't the device's {d}")
    for group in ("op", "part", "layer"):
        whole = sum(sum(samples(e)) for e in result["entries"] if e["group"] == group)
        if abs(whole / sum(ops) - 1) > 1e-3:
            problems.append(f"entries of group {group} are {whole / sum(ops):.4f} of the time in ops")
    calls = sum(e["calls"] for e in result["entries"] if e["group"] == "op")
    if calls != result["step"]["calls"]:
        problems.append(f"{calls} calls in entries, {result['step']['calls']} in the step")
    return problems


def check_memory(result):
    memory = result["memory"]
    kinds = ("parameters", "gradients", "optimiser", "activations", "tt_matrices", "workspace", "batch")
    planned = sum(memory[kind + "_bytes"] for kind in kinds)
    problems = []
    if abs(planned / memory["planned_peak_bytes"] - 1) > 0.02:
        problems.append(f"kinds of memory add up to {planned}, the plan is {memory['planned_peak_bytes']}")
    if abs(memory["measured_peak_bytes"] / memory["planned_peak_bytes"] - 1) > 0.05:
        problems.append("the plan isn't what the step took")
    return problems


METADATA = {"process_name": ("name", str), "thread_name": ("name", str), "thread_sort_index": ("sort_index", int)}


def check_event(event):
    """Problems of one event against the trace-event format."""
    kinds = {"ph": str, "name": str, "pid": int, "tid": int}
    for key, kind in kinds.items():
        if not isinstance(event.get(key), kind):
            return [f"an event without {key}: {event}"]
    if event["name"] == "":
        return ["an event without a name"]
    if event["ph"] == "M":
        key, kind = METADATA.get(event["name"], ("", None))
        return [] if kind and isinstance(event["args"].get(key), kind) else [f"metadata that nobody knows: {event}"]
    if event["ph"] not in ("X", "s", "f") or not isinstance(event.get("cat"), str):
        return [f"neither metadata, a complete event nor a flow: {event}"]
    for key in ("ts",) if event["ph"] != "X" else ("ts", "dur"):
        if not isinstance(event.get(key), (int, float)) or event[key] < 0:
            return [f"an event without a {key}: {event}"]
    if event["ph"] == "X":
        return [] if {"shapes", "operations", "bytes"} <= event["args"].keys() else [f"an event that doesn't say what it did: {event}"]
    good = isinstance(event.get("id"), int) and (event["ph"] == "s" or event.get("bp") == "e")
    return [] if good else [f"half a flow that can't be bound: {event}"]


def check_flows(events, tracks):
    """Each arrow leaves an event of the host's and reaches one of the same name on the device, later."""
    ends = {}
    for event in events:
        if event["ph"] in ("s", "f"):
            ends.setdefault(event["id"], {})[event["ph"]] = event
    problems = []
    for number, flow in ends.items():
        if set(flow) != {"s", "f"} or flow["s"]["tid"] != 1 or flow["f"]["tid"] != 2:
            problems.append(f"flow {number} doesn't lead from the host to the device")
            continue
        names = [{e["name"] for e in tracks[end["tid"]] if e["ts"] <= end["ts"] <= e["ts"] + e["dur"]} for end in (flow["s"], flow["f"])]
        if not names[0] & names[1] or flow["s"]["ts"] > flow["f"]["ts"]:
            problems.append(f"flow {number} leads from {names[0]} to {names[1]}")
    return problems[:5]


def check_nesting(events):
    """Events of one track: sorted, each inside those that are open or after them."""
    problems, open_until, last = [], [], 0.0
    for event in events:
        end = event["ts"] + event["dur"]
        if event["ts"] < last - 1e-3:
            problems.append(f"{event['name']} at {event['ts']} begins before the one before it")
        last = event["ts"]
        while open_until and open_until[-1] <= event["ts"] + 1e-3:
            open_until.pop()
        if open_until and end > open_until[-1] + 1e-3:
            problems.append(f"{event['name']} at {event['ts']} ends after what it is part of")
        open_until.append(end)
    return problems


def check_trace(trace, result):
    if trace.get("displayTimeUnit") not in ("ms", "ns") or not isinstance(trace.get("traceEvents"), list):
        return ["not a trace"]
    events = trace["traceEvents"]
    problems = [problem for event in events for problem in check_event(event)]
    if problems:
        return problems[:5]
    named = {event["tid"] for event in events if event["name"] == "thread_name"}
    tracks = {}
    for event in events:
        if event["ph"] == "X":
            tracks.setdefault(event["tid"], []).append(event)
    if set(tracks) != named or len(named) != 2:
        problems.append(f"tracks {sorted(tracks)} but names for {sorted(named)}")
    for track in tracks.values():
        problems += check_nesting(track)
    problems += check_flows(events, tracks) if len(tracks) == 2 else []
    queued_before = [(h, d) for h, d in zip(tracks.get(1, []), tracks.get(2, [])) if d["cat"] != "decomposed" and d["ts"] > h["ts"] + h["dur"] + 0.01]
    if sum(e["ph"] == "s" for e in events) < sum(h["dur"] > 0.01 and d["dur"] > 0.01 for h, d in queued_before):
        problems.append("calls that the device ran later have no flow")
    if [e["name"] for e in tracks.get(1, [])] != [e["name"] for e in tracks.get(2, [])]:
        problems.append("host and device don't do the same in the same order")
    # The trace is of the last profiled step.
    traced = 1e3 * sum(e["dur"] for e in tracks.get(2, []) if e["cat"] != "decomposed")
    counted = samples(entry_named(result, "profile", "ops"))[-1]
    if abs(traced / counted - 1) > 1e-3:
        problems.append(f"the trace holds {traced} ns of ops, the result {counted}")
    ops = {entry["op"] for entry in result["entries"] if entry["group"] == "op"}
    unknown = {e["name"] for e in tracks.get(2, []) if e["cat"] != "decomposed"} - ops
    if unknown:
        problems.append(f"names that the result doesn't have: {unknown}")
    return problems


def documented_names():
    """What docs/bench.md says about the JSON: names, and beginnings of names, which end in _ there."""
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../docs/bench.md"), encoding="utf-8") as file:
        chapter = file.read().split("## JSON\n", 1)[1].split("\n## ", 1)[0]
    words = {word for quoted in re.findall("`([^`]+)`", chapter) for word in re.findall(r"\w+", quoted)}
    return words, tuple(word for word in words if word.endswith("_"))


def check_documented(result):
    words, beginnings = documented_names()
    types = re.compile("product_(f32|tf32|bf16|f16|f64)_flops")
    names = {name: "the result" for name in result}
    for section, members in result.items():
        if isinstance(members, dict):
            names.update({name: section for name in members})
    names.update({name: "an entry" for entry in result["entries"] for name in entry})
    environment = {name for name in names if name.isupper()}  # variables go by their own names
    return [f"{name} of {where} isn't in docs/bench.md" for name, where in names.items() if name not in words | environment
            and not name.startswith(beginnings) and not types.fullmatch(name)]


def check_the_checks(result, trace):
    """Each fault in the data must be found by the check that is meant for it."""

    def damaged(damage, data):
        changed = copy.deepcopy(data)
        damage(changed)
        return changed

    def lose_an_op(data):
        data["entries"].remove(next(e for e in data["entries"] if e["group"] == "op"))

    def lengthen_gaps(data):
        entry = entry_named(data, "profile", "gaps")
        entry["samples_ns"] = [[v + 0.05 * w for v, w in zip(samples(entry), samples(entry_named(data, "profile", "wall")))]]

    def last_event(data):
        return [e for e in data["traceEvents"] if e["ph"] == "X" and e["tid"] == 2][-1]

    for name, found in {
        "a lost op": check_step(damaged(lose_an_op, result)),
        "longer gaps": check_step(damaged(lengthen_gaps, result)),
        "an event without dur": check_trace(damaged(lambda t: last_event(t).pop("dur"), trace), result),
        "an event in the past": check_trace(damaged(lambda t: last_event(t).update(ts=0.0), trace), result),
        "a longer event": check_trace(damaged(lambda t: last_event(t).update(dur=1e9), trace), result),
        "an event without name": check_trace(damaged(lambda t: last_event(t).update(name=""), trace), result),
        "a member that nobody knows": check_documented(damaged(lambda r: r["step"].update(novel=1), result)),
        "half a flow": check_trace(damaged(lambda t: t["traceEvents"].append({"ph": "s", "name": "queued", "cat": "flow", "id": 10**6, "pid": 1,
                                                                              "tid": 1, "ts": 0.0}), trace), result),
        "an unnamed track": check_trace(damaged(lambda t: last_event(t).update(tid=7), trace), result),
    }.items():
        if not found:
            sys.exit(f"bench_accounting: the checks don't see {name}")


def run(device, arguments):
    with tempfile.TemporaryDirectory(prefix="ttm-accounting-") as folder:
        paths = [os.path.join(folder, name) for name in ("result.json", "trace.json")]
        command = [os.path.join(TOOLS, "ttm-bench"), arguments[0], "--backend", device, *SIZES, *arguments[1:]]
        subprocess.run([*command, "--output", paths[0], "--trace", paths[1]], check=True)
        return [json.load(open(path, encoding="utf-8")) for path in paths]


def need_device(wanted):
    backend, text = wanted.split(":", 1)
    listed = subprocess.run([os.path.join(TOOLS, "ttm-devices"), "--json"], capture_output=True, text=True)
    for device in json.loads(listed.stdout or '{"devices": []}')["devices"]:
        if device["backend"] == backend and text in json.dumps(device):
            return
    print(f"skipped: {backend} has no device with {text!r}")
    sys.exit(77)


def main():
    device = sys.argv[1]
    if len(sys.argv) > 2:
        need_device(sys.argv[2])
    failed = False
    for arguments in (["train", "--steps", "9", "--seq", "64"], ["generate", "--tokens", "9", "--prompt", "8", "--layers", "16"]):
        # Some 20 µs of the host's lie before and after what the device does: a token has layers enough for that to be little.
        # Two clocks are read at a step's ends; on a busy machine the process may be stopped between them.
        for _ in range(8):
            result, trace = run(device, arguments)
            problems = check_step(result) + check_trace(trace, result) + check_documented(result)
            if arguments[0] == "train":
                problems += check_memory(result)
            if not problems:
                break
        for problem in problems:
            print(f"{arguments[0]} on {device}: {problem}", file=sys.stderr)
        failed |= bool(problems)
        routes = {e.get("cat") for e in trace["traceEvents"]}
        missing = set(os.environ.get("TTM_TEST_ROUTES", "").split()) - routes if arguments[0] == "train" else set()
        if missing:
            sys.exit(f"bench_accounting: no call in the trace was {missing}")
        if not problems:
            check_the_checks(result, trace)
    sys.exit(1 if failed else 0)


main()
