"""Makes conformance/vectors/holonomic.json and public/holonomic.json: claims, witnesses and topologies.

Written from the rules, in another language than the product and without its shortcuts: topologies are found with dictionaries and
plain loops. Deterministic. Run: python3 conformance/generators/holonomic.py
"""

import base64
import hashlib
import json
import math
import pathlib
import random
import struct
from fractions import Fraction

OUT = pathlib.Path(__file__).resolve().parent.parent / "vectors"
rng = random.Random(1404)
LETTERS = ["a", "Z", "-", ":", '"', "\\", "/", "\n", "\u0001", "\u007f", "é", "\u2028", "ﬁ", "～", "😀", "𐍈", "中"]
MAX64 = 2**64 - 1


def text(longest=10):
    return "".join(rng.choice(LETTERS) for _ in range(rng.randrange(longest + 1)))


def u64():
    return rng.choice([0, 1, 258, 2**53, MAX64, rng.getrandbits(64), 1_700_000_000_000 + rng.randrange(10**9)])


def i64():
    return rng.choice([0, -1, -(2**63), 2**63 - 1, rng.getrandbits(64) - 2**63])


def u32():
    return rng.choice([0, 1, 2**32 - 1, rng.getrandbits(32)])


def pad(s):
    return s.encode().ljust(16, b"\0")


def be(n, size):
    return n.to_bytes(size, "big", signed=n < 0)


def lp32(s):
    b = s if isinstance(s, bytes) else s.encode()
    return be(len(b), 4) + b


def lp64(s):
    return be(len(s.encode()), 8) + s.encode()


def sha(b):
    return hashlib.sha256(b).digest()


def in_order(texts):
    return sorted(texts, key=lambda t: t.encode())


# --- roots, witnesses ---------------------------------------------------------------------------------------------------


def root(leaves):
    if not leaves:
        return sha(b"WW-v1-empty")
    layer = [sha(leaf) for leaf in sorted(leaves)]
    while len(layer) > 1:
        if len(layer) % 2:
            layer.append(layer[-1])
        layer = [sha(layer[i] + layer[i + 1]) for i in range(0, len(layer), 2)]
    return layer[0]


def witness():
    return {
        "peer_id": text(),
        "epoch_id": str(u64()),
        "merkle_root": rng.randbytes(32).hex(),
        "leaf_count": u32(),
        "claim_namespaces": [text(6) for _ in range(rng.randrange(5))],
        "observed_at_unix_ms": str(u64()),
        "witness_version": rng.choice([0, 1, 65535]),
    }


def witness_bytes(w):
    names = in_order(w["claim_namespaces"])
    out = pad("WW-PREIMAGE-v1") + lp32(w["peer_id"]) + be(int(w["epoch_id"]), 8) + bytes.fromhex(w["merkle_root"])
    out += be(w["leaf_count"], 4) + be(len(names), 4) + b"".join(lp32(n) for n in names)
    return out + be(int(w["observed_at_unix_ms"]), 8) + be(w["witness_version"], 2)


def witness_json(w):
    whole = {**w, "claim_namespaces": in_order(w["claim_namespaces"])}
    whole["epoch_id"], whole["observed_at_unix_ms"] = int(w["epoch_id"]), int(w["observed_at_unix_ms"])
    # Python escapes U+007F like any other character: not at all, once ASCII is not asked for.
    return json.dumps(whole, ensure_ascii=False, separators=(",", ":"))


def equivocation():
    a, b = witness(), witness()
    kind = rng.randrange(4)
    if kind != 0:
        b["peer_id"] = a["peer_id"]
    if kind != 1:
        b["epoch_id"] = a["epoch_id"]
    if kind == 2:
        b["merkle_root"] = a["merkle_root"]
    at = u64()
    out = None
    if kind == 3:
        out = b"ciris-edge/equivocation-proof/v1" + lp64(a["peer_id"]) + be(int(a["epoch_id"]), 8)
        out = (out + lp64(witness_json(a)) + lp64(witness_json(b)) + be(at, 8)).hex()
    if kind == 0 and a["peer_id"] == b["peer_id"]:
        return equivocation()
    if kind == 1 and a["epoch_id"] == b["epoch_id"]:
        return equivocation()
    return {"in": {"a": a, "b": b, "at": str(at)}, "out": out}


def compare():
    ours = {"epoch_id": str(u64()), "merkle_root": rng.randbytes(32).hex()}
    theirs = {"epoch_id": rng.choice([ours["epoch_id"], str(u64())]), "merkle_root": rng.choice([ours["merkle_root"], "ab" * 32])}
    d = int(ours["epoch_id"]) - int(theirs["epoch_id"])
    same = "Identical" if ours["merkle_root"] == theirs["merkle_root"] else "Divergent"
    return {"in": {"ours": ours, "theirs": theirs}, "out": same if d == 0 else {"EpochAhead" if d > 0 else "EpochBehind": str(abs(d))}}


def hybrid():
    good = base64.b64encode(b"ed-ok").decode(), base64.b64encode(b"pq-ok").decode()
    bad = ["bm9wZQ==", "bm9wZQ", "bm9-ZQ==", " bm9wZQ==", "bm9wZR=="]
    ed = rng.choice([good[0], rng.choice(bad), ""])
    pq = rng.choice([good[1], good[1], rng.choice(bad), ""])
    ed_ok = ed == good[0]
    # An undecodable classical half leaves no message for the other one; "" and "bm9wZQ==" do decode.
    pq_ok = pq == good[1] and ed in (good[0], "bm9wZQ==", "")
    names = {(1, 1): "Valid", (0, 1): "ClassicalSignatureInvalid", (1, 0): "PqcSignatureInvalid", (0, 0): "BothSignaturesInvalid"}
    case = {"witness": witness(), "signature": ed, "signature_ml_dsa_65": pq}
    case |= {"ed_ok_hex": b"ed-ok".hex(), "pq_ok_hex": b"pq-ok".hex()}
    return {"in": case, "out": "PqcMissing" if pq == "" else names[(int(ed_ok), int(pq_ok))]}


GUARDED = [
    (["a", "b:c"], 3, "ok"),
    ([], 0, "ok"),
    ([], 1, "LeafCountMismatch"),
    (["a", "b", "a"], 1, "DuplicateNamespace"),
    (["A", "a"], 1, "ok"),
    (["ANONYMOUS-tier:x"], 1, "ForbiddenNamespace"),
    (["x:Self"], 1, "ForbiddenNamespace"),
    (["x:self:y", "x:self:y"], 1, "ForbiddenNamespace"),
    (["x:anonymous", "selfish", "anon"], 1, "ok"),
    (["ſelf", "x:K"], 1, "ok"),
]


def leaf_filter():
    n = rng.randrange(8)
    leaves = [f"leaf{i}" for i in range(n)]
    names = [rng.choice(["anonymous", "anonymous:x", "Anonymous", "trust_grant", "anon", " anonymous"]) for _ in range(n)]
    scopes = [rng.choice(["self", "Self", "selfish", "community"]) for _ in range(n)]
    names, scopes = names[: rng.randrange(n + 1) or n], scopes[: rng.randrange(n + 1) or n]
    kept = [
        leaf
        for i, leaf in enumerate(leaves)
        if i < len(names) and i < len(scopes) and not names[i].startswith("anonymous") and scopes[i] != "self"
    ]
    return {"in": {"leaves": leaves, "namespaces": names, "cohort_scopes": scopes}, "out": kept}


# --- claims -------------------------------------------------------------------------------------------------------------


def holding():
    c = {"peer_id": text(), "content_id": text(), "symbol_ids": [u32() for _ in range(rng.randrange(9))]}
    c |= {"observed_at_unix_ms": str(i64()), "claim_version": u32()}
    out = b"ciris-edge/holding-claim/v1" + lp64(c["peer_id"]) + lp64(c["content_id"]) + be(len(c["symbol_ids"]), 8)
    out += b"".join(be(i, 4) for i in sorted(c["symbol_ids"]))
    out += int(c["observed_at_unix_ms"]).to_bytes(8, "big", signed=True) + be(c["claim_version"], 4)
    return c, out


def compress():
    c = {"peer_id": text(), "content_id": text(), "evicting_range_low": u32(), "evicting_range_high": u32()}
    c |= {"deadline_unix_ms": str(i64()), "request_version": u32()}
    out = b"ciris-edge/compress-request/v1" + lp64(c["peer_id"]) + lp64(c["content_id"])
    out += be(c["evicting_range_low"], 4) + be(c["evicting_range_high"], 4)
    return c, out + int(c["deadline_unix_ms"]).to_bytes(8, "big", signed=True) + be(c["request_version"], 4)


def claim():
    c = {"claim_kind": text(), "signer_peer_id": text(), "claim_bytes": list(rng.randbytes(rng.randrange(6)))}
    c |= {"signed_at_unix_ms": str(u64()), "claim_version": rng.randrange(65536)}
    c |= {k: rng.choice([None, "", text()]) for k in ("user_owner", "delegates_to", "identity_occurrence")}
    out = pad("CIRIS-CLAIM-v1") + be(int(c["signed_at_unix_ms"]), 8) + be(c["claim_version"], 2)
    out += lp32(c["claim_kind"]) + lp32(c["signer_peer_id"]) + lp32(bytes(c["claim_bytes"]).hex())
    for k in ("user_owner", "delegates_to", "identity_occurrence"):
        out += b"\0" if c[k] is None else b"\1" + lp32(c[k])
    return c, out


def grant_body():
    c = {"granter": text(), "grantee": text(), "granted_at_unix_ms": str(u64()), "chain_depth": rng.randrange(256)}
    c |= {"weight": u32(), "expires_at_unix_ms": str(u64())}
    out = pad("TRUST-GRANT-v1") + lp32(c["granter"]) + lp32(c["grantee"]) + be(int(c["granted_at_unix_ms"]), 8)
    return c, out + be(c["chain_depth"], 1) + be(c["weight"], 4) + be(int(c["expires_at_unix_ms"]), 8)


def revoke_body():
    c = {"granter": text(), "grantee": text(), "revoked_at_unix_ms": str(u64())}
    return c, pad("TRUST-REVOKE-v1") + lp32(c["granter"]) + lp32(c["grantee"]) + be(int(c["revoked_at_unix_ms"]), 8)


def consent_body():
    c = {"content_id": text(), "corpus_kind": text(), "state": rng.randrange(4), "at_unix_ms": str(u64()), "expires_at_unix_ms": str(u64())}
    out = pad("HOLO-CONSENT-v1") + lp32(c["content_id"]) + lp32(c["corpus_kind"]) + be(c["state"], 1)
    return c, out + be(int(c["at_unix_ms"]), 8) + be(int(c["expires_at_unix_ms"]), 8)


def meta():
    c = {"version": rng.randrange(1, 4), "content_id": text(), "corpus_kind": text(), "tier": u32()}
    c |= {"aggregation_algorithm_id": text(), "source_count": u32(), "member_commitment": rng.randbytes(32).hex()}
    c |= {"noise_floor_descriptor": text(), "n_eff": u32(), "max_source_multiplicity": u32(), "mass_commitment": rng.randbytes(32).hex()}
    return c, meta_bytes(c)


def meta_bytes(c):
    out = pad("AGG-META-v1") + be(c["version"], 4) + lp32(c["content_id"]) + lp32(c["corpus_kind"]) + be(c["tier"], 4)
    out += lp32(c["aggregation_algorithm_id"]) + be(c["source_count"], 4) + bytes.fromhex(c["member_commitment"])
    out += lp32(c["noise_floor_descriptor"])
    if c["version"] >= 2:
        out += be(c["n_eff"], 4)
    if c["version"] >= 3:
        out += be(c["max_source_multiplicity"], 4) + bytes.fromhex(c["mass_commitment"])
    return out


def fixed(m):
    """Millionths of a mass, halves up; fractions keep the double product exact."""
    return 0 if not m > 0 else min(math.floor(Fraction(m * 1_000_000) + Fraction(1, 2)), MAX64)


def masses_case():
    masses = [rng.choice([0, -1, 1, 0.5, 4e-7, 5e-7, 1e-6, 900, rng.random() * 500]) for _ in range(rng.randrange(12))] or [1e300]
    ids = [f"{text(4)}{i}" for i in range(len(masses))]
    whole = [fixed(m) for m in masses]
    positive = [m for m in masses if m > 0]
    total, squares = sum(whole), sum(m * m for m in whole)
    exact = Fraction(total * total, squares) if squares else Fraction(0)
    floats = sum(positive) ** 2 / sum(m * m for m in positive) if positive and max(positive) < 1e100 else min(len(positive), 1)
    out = {"fixed": [str(m) for m in whole], "commitment": root([i.encode() + be(m, 8) for i, m in zip(ids, whole)]).hex()}
    out |= {"n_eff_float": max(1, math.floor(floats + 0.5)) if positive else 0, "n_eff_fixed": math.floor(exact + Fraction(1, 2))}
    return {"in": {"ids": ids, "masses": masses}, "out": out}


def gates_case():
    c = {"version": rng.randrange(1, 4), "source_count": rng.choice([0, 1, 10, 1000]), "n_eff": rng.choice([1, 5, 499, 500])}
    c |= {"max_source_multiplicity": rng.choice([1, 5, 6, 500]), "n_min": rng.choice([0, 1, 2, 3])}
    some = c["source_count"] > 0
    dominance = c["version"] >= 2 and some and 2 * c["n_eff"] >= c["source_count"]
    often = c["version"] == 3 and some and c["n_min"] > 0 and c["max_source_multiplicity"] * c["n_min"] <= c["source_count"]
    return {"in": c, "out": {"dominance": dominance, "multiplicity": often}}


def probe():
    c = {"nonce": rng.randbytes(32).hex(), "content_id": text(), "symbol_id": u32(), "bytes": rng.randbytes(rng.randrange(20)).hex()}
    out = pad("HOLD-PROBE-v1") + bytes.fromhex(c["nonce"]) + lp32(c["content_id"]) + be(c["symbol_id"], 4) + bytes.fromhex(c["bytes"])
    return c, sha(out)


def challenge():
    c = {"nonce": rng.randbytes(32).hex(), "peer_id": text()}
    return c, pad("BOOT-CHAL-v1") + bytes.fromhex(c["nonce"]) + lp32(c["peer_id"])


def eject():
    c = {"content_id": text(), "symbol_id": u32(), "peer_id": text()}
    return c, sha(pad("EJECT-RANK-v1") + lp32(c["content_id"]) + be(c["symbol_id"], 4) + lp32(c["peer_id"]))


# --- topology -----------------------------------------------------------------------------------------------------------


def f32(x):
    try:
        return struct.unpack(">f", struct.pack(">f", x))[0]
    except OverflowError:
        return math.copysign(math.inf, x)


def number(x):
    return float(x.replace("Infinity", "inf")) if isinstance(x, str) else x


def quantise(mbps):
    x = f32(number(mbps))
    if not math.isfinite(x) or x <= 0:
        return 0
    y = f32(x * 1000)
    return MAX64 if not math.isfinite(y) else min(int(y), MAX64)


def believed(q, mark):
    return {"Unverified": 0, "HybridSignatureValid": min(q, 10**6), "ThroughputChallenged": q}[mark]


def cap_score(q):
    return min(q, 10**7) * 1000 // 10**7


def capacity():
    c = {"uplink_mbps": rng.choice([0, 5, 16.7, 33.3, 250.5, 999.999, 1500.5, 12345.678, 1e-46, "NaN"]), "max_streams": rng.randrange(65536)}
    c |= {"max_subscribers_per_stream": rng.choice([0, 1, 2, 3, 64]), "measured_at_unix_ms": str(1_700_000_000_000 + rng.randrange(3))}
    c["max_layer_supported"] = {k: rng.randrange(256) for k in ("max_spatial", "max_temporal", "max_quality")}
    paths = rng.sample([[], [0], [1], [0, 1], [3]], rng.choice([0, 0, 1, 2, 3]))
    c["sub_stream_commitments"] = [{"sub_stream_path": p, "uplink_budget_mbps": 5, "max_subscribers": rng.randrange(5)} for p in paths]
    return c


def ad_bytes(ad):
    _, c, stream, epoch, _ = ad
    out = pad("CIRISALM-CAPv2") + bytes.fromhex(stream) + be(int(epoch), 8) + struct.pack(">f", f32(number(c["uplink_mbps"])))
    out += be(c["max_streams"], 2) + be(c["max_subscribers_per_stream"], 2) + be(int(c["measured_at_unix_ms"]), 8)
    out += bytes(c["max_layer_supported"][k] for k in ("max_spatial", "max_temporal", "max_quality"))
    out += be(len(c["sub_stream_commitments"]), 4)
    for s in c["sub_stream_commitments"]:
        p = bytes(s["sub_stream_path"])
        out += be(len(p), 2) + p + struct.pack(">f", s["uplink_budget_mbps"]) + be(s["max_subscribers"], 2)
    return out


def snapshot():
    n = rng.randrange(2, 9)
    peers = [f"{text(4)}#{i}" for i in range(n)]
    ad = lambda i: [i, capacity(), "07" * 32, "1", rng.choice(["HybridSignatureValid"] * 4 + ["ThroughputChallenged", "Unverified"])]
    pair = lambda: (rng.randrange(n), rng.randrange(n))
    pairs = [(a, b) for a in range(n) for b in range(n) if a != b and rng.random() < 0.8]
    ads = [ad(i) for i in range(n)] + [ad(rng.randrange(n)) for _ in range(rng.randrange(3))]
    grants = [[a, b, "1", rng.choice([0, 0, 1, 3, 4, 5, 255]), rng.randrange(256)] for a, b in pairs + [pair()]]
    reach = [[a, b, rng.choice([0, 1, 20, 50, 50, 120, 5000, 5001]), "2"] for a, b in pairs + [pair()] if rng.random() < 0.9]
    for items in (ads, grants, reach):
        rng.shuffle(items)
    return {"peers": peers, "ads": ads, "grants": grants, "reach": reach, "locality_id": text(), "snapshot_epoch_id": str(u64())}


RANK = {"HybridSignatureValid": 1, "ThroughputChallenged": 2}


class View:
    """Steps 1 to 8, which both profiles share."""

    def __init__(self, s):
        self.name = name = s["peers"]
        self.key = key = lambda i: name[i].encode()
        live = [a for a in s["ads"] if a[4] != "Unverified"]
        live.sort(key=lambda a: (int(a[1]["measured_at_unix_ms"]), key(a[0]), RANK[a[4]], ad_bytes(a)))
        near = {x for r in s["reach"] for x in r[:2]}
        self.far = {a[0] for a in live if a[0] not in near}
        self.ad = {a[0]: a for a in live if a[0] in near}
        self.peers = sorted(self.ad, key=key)
        self.cap = {p: believed(quantise(a[1]["uplink_mbps"]), a[4]) for p, a in self.ad.items()}
        self.trust, self.rtt = {}, {}
        for a, b, _, depth, _ in s["grants"]:
            if depth <= 4:
                self.trust[a, b] = min(depth, self.trust.get((a, b), 9))
        for a, b, rtt, _ in s["reach"]:
            self.rtt[a, b] = min(rtt, self.rtt.get((a, b), 10**9))

    def promises(self, p):
        return [(bytes(c["sub_stream_path"]), c["max_subscribers"]) for c in self.ad[p][1]["sub_stream_commitments"]]

    def paths(self, p):
        return sorted({path for path, _ in self.promises(p)}) or [b""]

    def possible(self, a, b):
        return a != b and (a, b) in self.trust and self.rtt.get((a, b), 9999) <= 5000

    def score(self, a, b, occupied):
        base = 50 * cap_score(self.cap[a]) + 30 * ((4 - self.trust[a, b]) * 1000 // 4)
        return max(0, base + 20 * ((5000 - self.rtt[a, b]) * 1000 // 5000) - 5 * occupied)

    def finish(self, s, edges, unrooted, version, source="", edge=0):
        tree = sorted(edges, key=lambda e: (self.key(e[1]), self.key(e[0]), e[2]))
        lost = in_order({self.name[p] for p in set(unrooted) | self.far})
        out = pad("ALM-TREE-v1") + be(version, 2) + be(int(s["snapshot_epoch_id"]), 8) + lp32(source) + be(len(tree), 4)
        for a, b, path in tree:
            out += lp32(self.name[b]) + lp32(self.name[a]) + be(len(path), 2) + path
        out += be(len(lost), 4) + b"".join(lp32(p) for p in lost)
        name = lambda i: lp32(self.name[i])
        lists = [
            [be(RANK[a[4]], 1) + name(a[0]) + lp32(ad_bytes(a)) for a in s["ads"] if a[4] != "Unverified"],
            [name(g[0]) + name(g[1]) + be(int(g[2]), 8) + be(g[3], 1) + be(g[4], 4) for g in s["grants"]],
            [name(r[0]) + name(r[1]) + be(r[2], 4) + be(int(r[3]), 8) for r in s["reach"]],
        ]
        inputs = pad("ALM-SNAP-v1") + lp32(s["locality_id"]) + be(int(s["snapshot_epoch_id"]), 8) + lp32(source) + be(edge, 8)
        for records in lists:
            records = sorted(set(records))
            inputs += be(len(records), 4) + b"".join(lp32(r) for r in records)
        shown = [[self.name[a], self.name[b], list(path)] for a, b, path in tree]
        return {"tree": shown, "unrooted_peers": lost, "tree_hash": sha(out).hex(), "snapshot_digest": sha(inputs).hex()}


def profile_1():
    s = snapshot()
    v = View(s)
    edges, unrooted, taken = [], [], {}
    for child in v.peers:
        found = False
        for path in v.paths(child):
            options = [p for p in v.peers if v.possible(p, child)]
            if options:
                parent = max(options, key=lambda p: (v.score(p, child, taken.get((p, path), 0)), -v.peers.index(p)))
                taken[parent, path] = taken.get((parent, path), 0) + 1
                edges.append((parent, child, path))
                found = True
        if not found:
            unrooted.append(child)
    return {"in": s, "out": v.finish(s, edges, unrooted, 1)}


def rooted():
    s = snapshot()
    v = View(s)
    source = rng.choice(s["peers"][:3] + ["nobody"])
    edge = rng.choice([0, 0, 1500, 40000, 2**63])
    root_peer = next((p for p in v.peers if v.name[p] == source), None)
    children = sorted((p for p in v.peers if p != root_peer), key=lambda p: (-min(v.cap[p], 10**7), v.key(p)))
    edges = []
    count = lambda want: sum(1 for e in edges if want(e))
    for path in sorted({q for c in children for q in v.paths(c)}) if root_peer is not None else []:
        depth, d = {root_peer: 0}, 0
        while d in depth.values():
            for child in children:
                if child in depth or path not in v.paths(child):
                    continue
                options = []
                for p in v.peers:
                    subs = {b for a, b, _ in edges if a == p}
                    on_path = count(lambda e: e[0] == p and e[2] == path)
                    promised = dict(reversed(v.promises(p)))
                    full = child not in subs and len(subs) >= v.ad[p][1]["max_subscribers_per_stream"]
                    closed = bool(promised) and on_path >= promised.get(path, 0)
                    poor = edge > 0 and (count(lambda e: e[0] == p) + 1) * edge > min(v.cap[p], 10**7)
                    if depth.get(p) == d and v.possible(p, child) and not (full or closed or poor):
                        shared = count(lambda e: e[:2] == (p, child))
                        options.append((shared, -v.score(p, child, on_path), v.key(p), p))
                if options:
                    edges.append((min(options)[3], child, path))
                    depth[child] = d + 1
            d += 1
    has = lambda c: {path for _, b, path in edges if b == c}
    partial = [[v.name[c], [list(p) for p in v.paths(c) if p not in has(c)]] for c in v.peers if c != root_peer and has(c) and len(has(c)) < len(v.paths(c))]
    out = v.finish(s, edges, [c for c in children if not has(c)], 1001, source, edge)
    return {"in": {"snapshot": s, "source": source, "edge_millibps": str(edge)}, "out": {**out, "partial": partial}}


def quantised(x):
    q = quantise(x)
    shown = {"millibps": str(q), "clamped": str(min(q, 10**6)), "score": cap_score(min(q, 10**6)), "score_challenged": cap_score(q)}
    return {"in": x, "out": shown}


# --- files --------------------------------------------------------------------------------------------------------------


def cases(count, make):
    return [make() for _ in range(count)]


def encoded(count, make):
    return [{"in": c, "out": out.hex()} for c, out in cases(count, make)]


def ad_case():
    ad = [0, capacity(), rng.randbytes(32).hex(), str(u64()), ""]
    return {"in": {"capacity": ad[1], "stream_id": ad[2], "epoch": ad[3]}, "out": ad_bytes(ad).hex()}


def sorted_case():
    texts = list(dict.fromkeys(text() for _ in range(8)))
    return {"in": texts, "out": in_order(texts)}


def unwritable():
    """A statement that has no bytes is a verdict as well, but a missing second half comes first."""
    signed = {"signature": "ZWQtb2s=", "ed_ok_hex": b"ed-ok".hex(), "pq_ok_hex": b"pq-ok".hex()}
    w = {**witness(), "epoch_id": str(2**64)}
    halves = [("cHEtb2s=", "CanonicalSerializationFailed"), ("", "PqcMissing")]
    return [{"in": {"witness": w, **signed, "signature_ml_dsa_65": pq}, "out": out} for pq, out in halves]


def nameless_rates():
    """Rates that JSON cannot write, and one that only rounding makes infinite."""
    out = []
    for mbps in ["NaN", "Infinity", "-Infinity", 3.5e38, 1e-46]:
        ad = [0, {**capacity(), "uplink_mbps": mbps}, rng.randbytes(32).hex(), str(u64()), ""]
        out.append({"in": {"capacity": ad[1], "stream_id": ad[2], "epoch": ad[3]}, "out": ad_bytes(ad).hex()})
    return out


def base64_case():
    good = base64.b64encode(rng.randbytes(rng.randrange(9))).decode()
    worse = [good + "=", good.rstrip("=") if good.endswith("=") else good[:-1], good + " ", "\n" + good, "QR==", "QUJ=", "-_==", "====", "A"]
    if rng.random() < 0.5:
        return {"in": good, "out": base64.b64decode(good).hex()}
    bad = rng.choice([w for w in worse if w])
    return {"in": bad, "out": None}


def root_case():
    leaves = [rng.randbytes(rng.randrange(20)) for _ in range(rng.choice([0, 1, 2, 3, 5, 8, 33]))]
    return {"in": {"leaves_hex": [leaf.hex() for leaf in leaves]}, "out": root(leaves).hex()}


def members_case():
    ids = [text() for _ in range(rng.randrange(6))]
    return {"in": ids, "out": {"root": root([i.encode() for i in ids]).hex(), "order": in_order(ids)}}


def owner_case():
    c = {k: rng.choice([None, "", "x", "y"]) for k in ("user_owner", "delegates_to", "identity_occurrence")}
    return {"in": c, "out": None if None in c.values() else c}


def with_partial(count):
    """Some snapshots must leave a peer with half of what it wants."""
    found = cases(count, rooted)
    while not any(c["out"]["partial"] for c in found):
        found.append(rooted())
    return found


SECTIONS = {
    "utf8_sort": cases(6, sorted_case),
    "base64_strict": cases(20, base64_case),
    "witness_preimage": [{"in": w, "out": witness_bytes(w).hex()} for w in cases(6, witness)],
    "witness_debug_json": [{"in": w, "out": witness_json(w)} for w in cases(6, witness)],
    "compare_witnesses": cases(12, compare),
    "equivocation_proof": cases(10, equivocation),
    "verify_hybrid": cases(24, hybrid),
    "namespace_guard": [{"in": {"claim_namespaces": n, "leaf_count": c}, "out": out} for n, c, out in GUARDED],
    "ww2_filter": cases(8, leaf_filter),
    "merkle_root": cases(10, root_case),
    "holding_claim": encoded(6, holding),
    "compress_request": encoded(4, compress),
    "relay_capacity": cases(6, ad_case),
    "signed_claim": encoded(8, claim),
    "owner_binding": cases(12, owner_case),
    "grant_body": encoded(4, grant_body),
    "revoke_body": encoded(3, revoke_body),
    "consent_body": encoded(4, consent_body),
    "aggregation_meta": encoded(6, meta),
    "member_commitment": cases(5, members_case),
    "mass": cases(10, masses_case),
    "gates": cases(16, gates_case),
    "probe_digest": encoded(4, probe),
    "challenge_body": encoded(3, challenge),
    "eject_rank": encoded(3, eject),
    "quantise": [quantised(x) for x in [33.3, 16.7, 0.0005, 0.001, 1e-46, 3.4e38, -1, 0, 1000.001, 9999.9995, "NaN", "Infinity"]],
    "topology": cases(12, profile_1),
    "topology_rooted": with_partial(16),
}
SECTIONS["verify_hybrid"] += unwritable()
SECTIONS["relay_capacity"] += nameless_rates()


def public():
    """The shape of the reference's public files: one case in each."""
    w, (h, hb), (r, rb), (c, cb), (m, mb) = witness(), holding(), compress(), claim(), meta()
    numbers = {**w, "merkle_root": list(bytes.fromhex(w["merkle_root"]))}
    ids = ["m3", "m1", "é"]
    m |= {"member_commitment": root([i.encode() for i in ids]).hex()}
    files = [
        ("wholeness_witness/own", numbers, witness_bytes(w), pad("WW-PREIMAGE-v1")),
        ("signed_claim/own", c, cb, pad("CIRIS-CLAIM-v1")),
        ("fountain_holding_claim/own", h, hb, b"ciris-edge/holding-claim/v1"),
        ("fountain_compress_request/own", r, rb, b"ciris-edge/compress-request/v1"),
    ]
    out = [{"vector_id": i, **f, "domain_separator_hex": s.hex(), "expected_canonical_bytes_hex": b.hex()} for i, f, b, s in files]
    flat = {k: v for k, v in m.items() if k != "member_commitment"}
    flat |= {"member_commitment_hex": m["member_commitment"], "source_member_ids": ids}
    flat |= {"domain_separator_hex": pad("AGG-META-v1").hex(), "expected_canonical_bytes_hex": meta_bytes(m).hex()}
    out.append({"vector_id": "aggregation_meta/own", **flat})
    out.append({"vector_id": "member_commitment/own", "source_member_ids": ids, "expected_commitment_hex": m["member_commitment"]})
    leaves = [b"b", b"a", b"ab"]
    out.append({"vector_id": "merkle_root/own", "leaves_hex": [x.hex() for x in leaves], "expected_root_hex": root(leaves).hex()})
    out.append({"agg_meta_v1_hex": pad("AGG-META-v1").hex(), "agg_meta_v1_len": 16})
    names = {"witness_preimage_v1_hex": pad("WW-PREIMAGE-v1"), "signed_claim_v1_hex": pad("CIRIS-CLAIM-v1")}
    names |= {"holding_claim_v1_hex": b"ciris-edge/holding-claim/v1", "compress_request_v1_hex": b"ciris-edge/compress-request/v1"}
    out.append({k: v.hex() for k, v in names.items()})
    versions = ["witness_version", "claim_version", "holding_claim_version", "compress_request_version"]
    out.append({**{v: 1 for v in versions}, "max_witness_chain_len": 5})
    return out


def line(case):
    return json.dumps(case, ensure_ascii=False, separators=(",", ":"))


def write(name, body):
    (OUT / name).write_text(body + "\n", encoding="utf-8")


sections = [f"{json.dumps(name)}: [\n" + ",\n".join(map(line, found)) + "\n]" for name, found in SECTIONS.items()]
write("holonomic.json", '{ "format": 1, "sections": {\n' + ",\n".join(sections) + "\n} }")
write("public/holonomic.json", "[\n" + ",\n".join(map(line, public())) + "\n]")
