#!/usr/bin/env python3
"""Writes conformance/vectors/alm.json: capacity, room, planner and heal cases.

A second implementation of the rules, in another language and in the plainest form, so that an error of src/alm cannot hide in its own
answer. Deterministic: python3 conformance/generators/alm.py
"""
import json
import random
import struct
from pathlib import Path

rng = random.Random(20250607)
NAMES = ["alice", "bob", "Żółw", "żółw", "ノード", "😀", "\uff5e", "relay/1", "C", "a", "b"]
U64 = 2**64 - 1


def f32(value):
    """Nearest binary32; beyond its range an infinity."""
    try:
        return struct.unpack(">f", struct.pack(">f", value))[0]
    except OverflowError:
        return float("inf")


def bits(value):
    return struct.pack(">f", value).hex()


def policy(kind=None):
    if kind is None:
        return {"max_" + axis: rng.choice([0, 1, 2, 7, 255]) for axis in ("spatial", "temporal", "quality")}
    return {"max_" + axis: kind for axis in ("spatial", "temporal", "quality")}


def commitment(path, budget=None):
    budget = f32(budget if budget is not None else rng.choice([0.5, 2.5, 10, 10 / 3]))
    return {"sub_stream_path": path, "uplink_budget_mbps": budget, "uplink_budget_mbps_hex": bits(budget),
            "max_subscribers": rng.choice([0, 1, 4])}


def capacity(measured, uplink=None, commitments=(), subscribers=None, layers=None):
    uplink = f32(uplink if uplink is not None else rng.choice([0, 1, 5, 10, 100, 33.3, 1000 / 3]))
    return {"uplink_mbps": uplink, "uplink_mbps_hex": bits(uplink), "max_streams": rng.choice([0, 1, 4, 65535]),
            "max_subscribers_per_stream": rng.choice([0, 1, 4, 16]) if subscribers is None else subscribers,
            "measured_at_unix_ms": str(measured), "max_layer_supported": layers or policy(),
            "sub_stream_commitments": list(commitments)}


PATHS = [[], [0], [1], [0, 1], [1, 1, 0], [0, 1, 0, 1, 0, 1, 0, 1]]


def canonical_case(uplink, measured, epoch, paths):
    cap = capacity(measured, uplink, [commitment(path) for path in paths])
    stream = bytes(rng.randrange(256) for _ in range(32))
    layer = cap["max_layer_supported"]
    out = b"CIRISALM-CAPv2\0\0" + stream + struct.pack(">Q", epoch) + struct.pack(">f", cap["uplink_mbps"])
    out += struct.pack(">HHQ", cap["max_streams"], cap["max_subscribers_per_stream"], measured)
    out += bytes([layer["max_spatial"], layer["max_temporal"], layer["max_quality"]])
    out += struct.pack(">I", len(cap["sub_stream_commitments"]))
    for c in cap["sub_stream_commitments"]:
        path = bytes(c["sub_stream_path"])
        out += struct.pack(">H", len(path)) + path + struct.pack(">fH", c["uplink_budget_mbps"], c["max_subscribers"])
    return {"capacity": cap, "stream_id": stream.hex(), "epoch": str(epoch), "canonical": out.hex(), "length": len(out)}


def fits(budget, bitrate, current):
    return f32(f32(current + 1) * f32(bitrate)) <= budget


def room(cap, bitrate, current):
    return current < cap["max_subscribers_per_stream"] and fits(cap["uplink_mbps"], bitrate, current)


def room_on(cap, path, bitrate, current):
    if not cap["sub_stream_commitments"]:
        return room(cap, bitrate, current)
    for c in cap["sub_stream_commitments"]:
        if c["sub_stream_path"] == path:
            return current < c["max_subscribers"] and fits(c["uplink_budget_mbps"], bitrate, current)
    return False


def stale(measured, now, project):
    if measured > now:
        return project and measured - now > 5000
    return now - measured >= 30000


def plan(case, project):
    now, wish = int(case["now"]), dict(case["policy"])
    pool = [c for c in case["candidates"] if c["advertiser_key_id"] not in case.get("exclude", [])]
    if not pool:
        return {"error": "NoFeasibleParent"}
    if project and case["stream_max_layer"]:
        wish = {"max_" + axis: min(wish["max_" + axis], case["stream_max_layer"][axis]) for axis in case["stream_max_layer"]}
    able = [c for c in pool if all(c["capacity"]["max_layer_supported"][axis] >= wish[axis] for axis in wish)]
    fresh = [c for c in pool if not stale(int(c["capacity"]["measured_at_unix_ms"]), now, project)]
    if not fresh:
        return {"error": "AllCandidatesStale"}
    if not able:
        return {"error": "NoCandidateSupportsLayerPolicy"}
    good = []
    for c in fresh:
        occupied = (c.get("current_subscribers") or 0) if project else 0
        path = case["sub_stream_path"]
        has = room(c["capacity"], case["bitrate_mbps"], occupied) if path is None else \
            room_on(c["capacity"], path, case["bitrate_mbps"], occupied)
        ratio = c["reachability_ratio"]
        if c in able and has and ratio is not None and ratio >= 0.5:
            good.append(c)
    rtt = lambda c: 2**32 - 1 if c["rtt_ms_estimate"] is None else c["rtt_ms_estimate"]
    if project:
        good.sort(key=lambda c: (rtt(c), -c["reachability_ratio"], c["advertiser_key_id"].encode()))
    else:
        good.sort(key=rtt)
    names = []
    for c in good:
        if not project or c["advertiser_key_id"] not in names:
            names.append(c["advertiser_key_id"])
    return {"primary": names[0], "backups": names[1:3]} if names else {"error": "NoFeasibleParent"}


def planner_case(project):
    now = 1700000040000
    count = rng.choice([0, 1, 2, 3, 5, 9])
    kind = rng.choice([None, None, 0, 255])
    # Most rooms are healthy, so that plans come out; the others show the errors.
    ages = rng.choice([[0, 10, 20000], [29999, 30000, 0], [30000, 60000]])
    candidates = []
    for _ in range(count):
        ahead = rng.choice([0, 0, 0, 5000, 5001])
        commitments = rng.choice([[], [], [commitment([0]), commitment([0, 1])], [commitment([], 100)]])
        layers = policy(rng.choice([255, 255, None]))
        cap = capacity(now - rng.choice(ages) + ahead, rng.choice([None, 100]), commitments, rng.choice([None, 16]), layers)
        c = {"advertiser_key_id": rng.choice(NAMES), "capacity": cap,
             "reachability_ratio": rng.choice([None, 0.49, 0.5, 0.9, 1, 1]),
             "rtt_ms_estimate": rng.choice([None, 10, 10, 20, 35, 2**32 - 1])}
        if project:
            c["current_subscribers"] = rng.choice([None, 0, 3, 15, 16])
        candidates.append(c)
    if project:
        # Two advertisements of one peer that differ are a case of their own: what counts is order, which D-24 settles before.
        candidates = list({c["advertiser_key_id"]: c for c in candidates}.values())
    case = {"candidates": candidates, "sub_stream_path": rng.choice([None, None, [0], [1], [0, 1]]),
            "bitrate_mbps": rng.choice([0.05, 1, 2.5, 5]), "policy": policy(kind), "now": str(now)}
    if project:
        case["exclude"] = rng.sample(NAMES, rng.choice([0, 0, 2]))
        case["stream_max_layer"] = rng.choice([None, {"spatial": 0, "temporal": 1, "quality": 0}])
    case["result"] = plan(case, project)
    return case


def in_order(keys):
    return sorted(keys, key=lambda key: key.encode())


def heal_project(primary, backups, steps):
    now = 1700000000000
    case = {"primary": primary, "backups": list(backups), "now": now, "steps": []}
    backups, alive, reports, rebuild = list(backups), {p: now for p in [primary, *backups]}, {}, None
    silent = lambda p, t: alive[p] < max(t - 1500, 0)

    def report(last, t):
        if last is None:
            return (t, 250)
        at, step = last
        if t == at:
            return last
        return None if t - at < step else (t, min(2 * step, 4000))

    for _ in range(steps):
        now += rng.choice([0, 1, 10, 100, 249, 250, 500, 1500, 1501, 4000])
        op = rng.choice(["tick", "tick", "tick", "heard", "heard", "add", "remove", "promote"])
        who = rng.choice(["a", "b", "żółw", "😀", "\uff5e"])
        result = None
        if op == "tick":
            dead, result = [p for p in in_order(alive) if silent(p, now)], []
            for p in dead:
                due = report(reports.get(p), now)
                if due:
                    reports[p] = due
                    result.append("ReParent:" + p)
            if len(dead) < len(alive):
                rebuild = None
            else:
                due = report(rebuild, now)
                if due:
                    rebuild = due
                    result.append("UpstreamRebuildRequired")
            arg = now
        elif op == "heard":
            arg, result = [who, now], "UnknownParent"
            if who in alive:
                result, alive[who] = "Heard", max(alive[who], now)
                reports.pop(who, None)
        elif op == "add":
            arg, alive[who] = [who, now], now
            reports.pop(who, None)
            if who != primary and who not in backups:
                if primary is None:
                    primary = who
                else:
                    backups.append(who)
        elif op == "remove":
            arg = [who, now]
            alive.pop(who, None)
            reports.pop(who, None)
            if who in backups:
                backups.remove(who)
            if who == primary:
                primary = next((p for p in backups if not silent(p, now)), None)
                if primary is not None:
                    backups.remove(primary)
        else:
            arg, result = who, "UnknownParent"
            if who in alive:
                result = "Promoted"
                if who in backups:
                    backups.remove(who)
                if primary is not None and primary != who and primary in alive:
                    backups.insert(0, primary)
                primary = who
        case["steps"].append({"op": {op: arg}, "result": result, "primary": primary, "backups": list(backups),
                              "active": in_order(alive)})
    return case


def heal_reference(primary, backups, steps, ring_capacity):
    now = 1700000000000
    case = {"primary": primary, "backups": list(backups), "ring_capacity": ring_capacity, "steps": []}
    backups, active, alive, ring = list(backups), {primary, *backups}, {}, []
    for _ in range(steps):
        now += rng.choice([0, 10, 100, 500, 1500, 1501])
        op = rng.choice(["tick", "observe", "observe", "observe", "add", "remove", "promote"])
        who = rng.choice(["a", "b", "żółw", "😀"])
        result = None
        if op == "tick":
            arg = now
            dead = [p for p in in_order(active) if alive.get(p, 0) < max(now - 1500, 0)]
            result = ["ReParent:" + p for p in dead]
            if dead and len(dead) == len(active):
                result.append("UpstreamRebuildRequired")
        elif op == "observe":
            key = (rng.choice([1, 2]), rng.randrange(12))
            arg, result = [who, *key, now], "UnknownParent"
            if who in active:
                alive[who] = now
                result = "Duplicate" if key in ring else "FirstDelivery"
                if key not in ring:
                    ring = [*ring, key][-ring_capacity:]
        elif op == "add":
            arg = [who, rng.choice([0, now])]
            active.add(who)
            alive[who] = arg[1]
        elif op == "remove":
            arg = who
            active.discard(who)
            alive.pop(who, None)
            backups = [p for p in backups if p != who]
        else:
            arg = who
            backups = [p for p in backups if p != who]
            if primary != who:
                backups.insert(0, primary)
            primary = who
            active.add(who)
        case["steps"].append({"op": {op: arg}, "result": result, "primary": primary, "backups": list(backups),
                              "active": in_order(active)})
    return case


def sections():
    now = 1700000000000
    yield "capacity_canonical", [canonical_case(u, m, e, p) for u, m, e, p in [
        (0, 0, 0, []), (-0.0, U64, U64, [[]]), (3.4028234663852886e38, now, 7, PATHS[1:4]), (1e-45, now, 1, PATHS),
        (33.3, 2**53, 2**53 + 1, [[1, 1, 0], [0]])]]
    yield "is_stale", [{"measured_at_unix_ms": str(now - age), "now": str(now), "reference": stale(now - age, now, False),
                        "project": stale(now - age, now, True)}
                       for age in [0, 29000, 29999, 30000, 31000, 60000, -1, -4999, -5000, -5001, -10**9]]
    rooms = [(100, 16, 2.5, n) for n in (0, 10, 15, 16, 17)] + [(10, 16, 5, n) for n in (0, 1, 2)]
    # Sums that only binary32 rounds to the budget, and one that it rounds above.
    rooms += [(0.3, 9, 0.1, 2), (1, 9, 0.1, 9), (0.7, 9, 0.1, 6), (16777216, 65535, 1, 65000), (0, 1, 0, 0), (0, 0, 0, 0)]
    yield "has_room", [{"uplink_mbps": f32(u), "max_subscribers_per_stream": m, "bitrate_mbps": b, "current": n,
                        "room": room({"uplink_mbps": f32(u), "max_subscribers_per_stream": m}, b, n)} for u, m, b, n in rooms]
    subs = []
    for _ in range(20):
        paths = rng.sample(PATHS, rng.choice([0, 1, 3]))
        cap, path = capacity(now, None, [commitment(p) for p in paths]), rng.choice(paths + PATHS)
        bitrate, current = rng.choice([0, 0.5, 2.5]), rng.choice([0, 1, 3, 4])
        subs.append({"capacity": cap, "path": path, "bitrate_mbps": bitrate, "current": current,
                     "room": room_on(cap, path, bitrate, current)})
    yield "has_room_substream", subs
    yield "planner_reference", [planner_case(False) for _ in range(40)]
    yield "planner_project", [planner_case(True) for _ in range(60)]
    yield "heal_reference", [heal_reference("a", ["b", "żółw"], 60, 8), heal_reference("b", [], 60, 3)]
    yield "heal_project", [heal_project("a", ["b", "żółw", "😀"], 120), heal_project("b", [], 120), heal_project("a", ["b"], 120)]


def text(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


target = Path(__file__).resolve().parent.parent / "vectors" / "alm.json"
head = {"format": "av-mesh-vectors/1", "note": "Own cases, made by generators/alm.py."}
# One case per line.
body = ",\n".join(f'"{name}":[\n' + ",\n".join(map(text, cases)) + "\n]" for name, cases in sections())
target.write_text(text(head)[:-1] + ',"sections":{\n' + body + "\n}}\n")
