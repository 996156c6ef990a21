"""Makes conformance/vectors/holonomic-memory.json: what is kept, who is let in, what is folded.

Written from the rules, in another language than the product. Deterministic. Run: python3 conformance/generators/holonomic_memory.py
"""

import hashlib
import json
import math
import pathlib
import random
from fractions import Fraction

OUT = pathlib.Path(__file__).resolve().parent.parent / "vectors" / "holonomic-memory.json"
rng = random.Random(1971)
DAY = 86_400_000


def sha(b):
    return hashlib.sha256(b).digest()


def be(n, size):
    return n.to_bytes(size, "big")


def lp(s):
    b = s if isinstance(s, bytes) else s.encode()
    return be(len(b), 4) + b


def pad(s):
    return s.encode().ljust(16, b"\0")


def manifest():
    n, k = rng.randrange(1, 9), rng.randrange(0, 4)
    m = {"manifest_version": 1, "content_id": rng.choice(["", "a/b", "～😀", "é"]), "corpus_kind": rng.choice(["blob", "aggregate:trace"])}
    m |= {"n_source": n, "k_repair": k, "symbol_size": rng.randrange(65536), "original_content_length": str(rng.getrandbits(64))}
    m |= {"min_viable_symbols": rng.randrange(9), "symbol_hashes": [rng.randbytes(32).hex() for _ in range(n + k)]}
    m |= {"envelope_hex": rng.randbytes(rng.randrange(40)).hex()}
    p = pad("FTN-MANIFEST-v1") + be(1, 2) + lp(m["content_id"]) + lp(m["corpus_kind"]) + be(n, 4) + be(k, 4) + be(m["symbol_size"], 4)
    p += be(int(m["original_content_length"]), 8) + be(m["min_viable_symbols"], 4) + be(n + k, 4)
    p += b"".join(bytes.fromhex(h) for h in m["symbol_hashes"]) + lp(bytes.fromhex(m["envelope_hex"]))
    return {"in": m, "out": {"preimage": p.hex(), "hash": sha(p).hex()}}


WEIGHT = {"PossessionVerified": 2, "SignatureOnly": 1, "Unverified": 0}


def rarity():
    claims = []
    for _ in range(rng.choice([3, 60])):
        c = {"peer_id": f"p{rng.randrange(30)}", "content_id": rng.choice("XY"), "symbol_ids": [rng.randrange(3) for _ in range(rng.randrange(3))]}
        claims.append([c, rng.choice(list(WEIGHT))])
    queries, answers = [], []
    for content in "XY":
        for symbol in range(3):
            for consent in ["Active", "Revoked", "Unknown"]:
                found = {}
                for c, v in claims:
                    if c["content_id"] == content and symbol in c["symbol_ids"]:
                        found[c["peer_id"]] = max(found.get(c["peer_id"], 0), WEIGHT[v])
                w = sum(found.values())
                aware = {"EvictEligible": "Consent" + consent} if consent != "Active" else {"RetainRare": w} if w < 30 else {"EvictEligible": "NotRare"}
                queries.append([content, symbol, consent])
                answers.append({"score": len(found), "consent_aware": aware})
    return {"in": {"claims": claims, "queries": queries}, "out": answers}


def eject():
    h, t, c, r = rng.choice([0, 34, 35, 200]), rng.choice([30, 7, 100]), rng.choice(["Active", "Revoked", "Unknown"]), rng.choice([0, 14, 15, 60])
    keep = h <= t + t * 15 // 100 or r < t // 2
    return {"in": {"holders": h, "target": t, "consent": c, "rarity": r}, "out": "EjectHardDelete" if c == "Revoked" else "Keep" if keep else "EjectToTier"}


def plan():
    n, k, target = rng.choice([(4, 1, 6), (20, 6, 30)])
    total = n + k
    peers = [f"p{c}{i}" for i, c in enumerate("a～😀éz" * 12)][: rng.choice([1, 4, 12, 60])]
    crowd = rng.random() < 0.5
    holdings = {p: rng.sample(range(total + 2), min(total, rng.choice([1, 2] if crowd else [0, 1, 9]))) for p in peers if crowd or rng.random() < 0.6}
    if peers[0] in holdings:
        holdings[peers[0]] = list(range(total))
    live = [p for p in peers if rng.random() < 0.8]
    local = rng.choice(peers)
    content, consent = f"c{rng.randrange(99)}", rng.choice(["Active"] * 6 + ["Revoked", "Unknown"])
    held = {p: {s for s in ids if s < total} for p, ids in holdings.items()}

    def rank(s, p):
        return sha(pad("EJECT-RANK-v1") + lp(content) + be(s, 4) + lp(p))

    out = {"evict": None, "trim": [], "adopt": [], "rare": []}
    if consent != "Active":
        out["evict"] = consent.lower()
    else:
        top = max([len(x) for x in held.values()], default=0)
        heavy = min([p for p in held if len(held[p]) == top], key=lambda p: p.encode()) if top else None
        where = [{p for p in held if p != heavy and s in held[p]} for s in range(total)]
        out["rare"] = sorted(s for s in held.get(local, ()) if len(where[s]) <= (0 if local == heavy else 1))
        holders = len({p for w in where for p in w})
        if holders > target + target * 15 // 100:
            while sum(map(len, where)) > target and max(map(len, where)) > 1:
                s = max(range(total), key=lambda x: (len(where[x]), -x))
                p = max(where[s], key=lambda q: rank(s, q))
                where[s].remove(p)
                if p == local:
                    out["trim"].append(s)
        else:
            load = {p: len(held.get(p, ())) for p in live if p != heavy}
            open_ = set(range(total))
            while open_ and (sum(map(len, where)) < target or not all(where)):
                s = min(open_, key=lambda x: (len(where[x]), x))
                free = [p for p in load if p not in where[s]]
                if not free:
                    open_.remove(s)
                    continue
                p = min(free, key=lambda q: (load[q], rank(s, q)))
                where[s].add(p)
                load[p] += 1
                if p == local:
                    out["adopt"].append(s)
        out["trim"].sort()
        out["adopt"].sort()
    policy = {"n_source": n, "k_repair": k, "target_holders": target}
    given = {"contentId": content, "policy": policy, "consent": consent, "localPeer": local}
    return {"in": {**given, "holdings": [[p, x] for p, x in holdings.items()], "livePeers": live}, "out": out}


def priority(quality, s, n):
    if s < n:
        bucket = min(s * 32, 2**32 - 1) // max(n, 1)
    else:
        bucket = 32 + min(min((s - n) * 32, 2**32 - 1) // (s - n + 1), 31)
    return (min(quality, 3) << 6) | (bucket & 63)


def keep(tier, n, k, v):
    v = min(v, n)
    t3 = v if n <= v else max(v, min(v + -(-(n - v) // 2), n - 1))
    return {"Full": n + k, "T2": n, "T3": t3, "T4": v}.get(tier, 0)


TIERS = ["Full", "T2", "T3", "T4", "T5"]


def keep_count():
    c = [rng.choice(TIERS), rng.randrange(1, 30), rng.randrange(9), rng.randrange(30)]
    return {"in": c, "out": keep(*c)}


def evict():
    n, k, v, tier = rng.randrange(1, 20), rng.randrange(6), rng.randrange(20), rng.choice(TIERS)
    ids = rng.sample(range(n + k), rng.randrange(n + k + 1))
    present = [[s, priority(rng.randrange(5), s, n)] for s in ids]
    first = sorted(present, key=lambda x: (x[1], x[0]))[: keep(tier, n, k, v)]
    return {"in": {"n": n, "k": k, "v": v, "tier": tier, "present": present}, "out": sorted(s for s, _ in first)}


def headroom():
    quota = rng.choice([10**8, 10**9, 10**10, 10**12, 3])
    left = rng.choice([0, quota // 100, quota // 20 + 1, quota // 10, quota // 5, quota, 50 * 2**20, 200 * 2**20 + 1, 2**30])
    level = "normal"
    for name, size, percent in [("warn", 1024, 20), ("crit", 500, 10), ("stop", 200, 5), ("host_at_risk", 50, 1)]:
        if left <= min(size * 2**20, Fraction(quota * percent, 100)):
            level = name
    return {"in": [quota, quota - left], "out": level}


def decay():
    days = rng.choice([[4, 8, 11, 14, 14], [26, 51, 70, 90, 90], [1095, 2190, 2920, 3650, 3650]])
    now = 10**12 + rng.choice(days) * DAY + rng.choice([-1, 0, 1])
    revoked = rng.choice([None] * 5 + ["0", str(2**63)])
    name = "EnvelopeOnly"
    for end, tier in reversed(list(zip([days[0], days[1], days[2], days[4]], ["Full", "T2DropRepair", "T3DropHighQuality", "T4MinViableOnly"]))):
        if (now - 10**12) // DAY < end:
            name = tier
    return {"in": {"admitted": str(10**12), "revoked": revoked, "cls": days, "now": str(now)}, "out": name if revoked is None else "HardDelete"}


def refuse(reason):
    return {"Refuse": {"reason": reason}}


def admit(distance, root):
    return {"AdmitTrustServe": {"trust_distance": distance, "anchored_to_root": root}}


def walk():
    names = ["A", "B", "D", "R", "Q"]
    chain = [{"signer_peer_id": rng.choice(names), "verified": rng.random() < 0.9} for _ in range(rng.randrange(7))]
    cand = {"signer_peer_id": rng.choice(["C"] * 5 + ["R"]), "verified": rng.random() < 0.9}
    depth = rng.choice([2, 5, 5, 255])
    roots = rng.choice([["R"], ["R", "Q"], []])
    grants = [
        {"granter_peer_id": rng.choice(names), "grantee_peer_id": "x", "granted_at_unix_ms": "1", "chain_depth": rng.randrange(5), "weight": rng.choice([5, 100, 255])}
        for _ in range(rng.randrange(5))
    ]

    def decide():
        if not cand["verified"]:
            return refuse("SignatureInvalid")
        if cand["signer_peer_id"] in roots:
            return admit(0, cand["signer_peer_id"])
        if len(chain) > 5 or len(chain) > depth:
            return refuse("ChainTooLong")
        met, counted = [], []
        anchor = None
        for i in reversed(range(len(chain))):
            s = chain[i]["signer_peer_id"]
            if not chain[i]["verified"]:
                return refuse("SignatureInvalid")
            if s in met:
                return refuse("TrustGraphCycle")
            met.append(s)
            if s in roots:
                anchor = (i, 0, sum(g["weight"] for _, g in counted), 255, s)
                break
            g = next((g for g in grants if g["granter_peer_id"] == s and g["chain_depth"] <= depth), None)
            if g:
                counted.append((i, g))
        if anchor is None and not counted:
            return refuse("ChainExhausted")
        if anchor is None:
            i, g = counted[0]
            anchor = (i, g["chain_depth"], sum(x["weight"] for _, x in counted[1:]), g["weight"], g["granter_peer_id"])
        i, far, weights, trust, name = anchor
        total = min(255, far + len(chain) - i)
        if total > depth:
            return refuse("BudgetExceeded")
        return refuse("AggregateWeightCapExceeded") if weights > trust // 2 else admit(total, name)

    return {"in": {"candidate": cand, "graph": {"roots": roots, "grants": grants, "max_chain_depth": depth}, "chain": {"claims": chain, "chain_version": 1}}, "out": decide()}


def linked():
    length = rng.choice([0, 1, 1, 2, 2, 3, 6])
    names = [rng.choice(["R", "A"])] + rng.sample(["B", "D", "E", "F", "G"], 5)
    names = names[:length]
    bodies = []
    for i, name in enumerate(names):
        to = names[i + 1] if i + 1 < length else "C"
        bodies.append([name, to, 100, 0, rng.choice([255, 255, 200, 3, 0, 400]), rng.choice([0, 0, 0, 0, 5000, 5001])])
    if bodies and rng.random() < 0.15:
        rng.choice(bodies)[1] = "Z"
    claims = []
    for g, to, at, d, w, end in bodies:
        raw = pad("TRUST-GRANT-v1") + lp(g) + lp(to) + be(at, 8) + be(d, 1) + be(w, 4) + be(end, 8)
        claims.append({"claim_kind": "trust_grant", "signer_peer_id": g, "claim_bytes_hex": raw.hex(), "verified": rng.random() < 0.95})
    revokes = [{"granter": b[0], "grantee": b[1], "revoked_at_unix_ms": rng.choice(["99", "100"])} for b in bodies if rng.random() < 0.15]
    grants = [{"granter_peer_id": r, "grantee_peer_id": "A", "granted_at_unix_ms": "1", "chain_depth": 0, "weight": rng.choice([50, 300])} for r in ["R", "Q"] if rng.random() < 0.5]
    depth = rng.choice([2, 5, 9])
    cand = {"signer_peer_id": rng.choice(["C"] * 9 + ["Q"]), "verified": rng.random() < 0.95}

    def decide():
        if not cand["verified"]:
            return refuse("SignatureInvalid")
        if cand["signer_peer_id"] == "Q":
            return {**admit(0, "Q"), "standing": 255}
        if not bodies:
            return refuse("ChainExhausted")
        if length > min(5, depth):
            return refuse("ChainTooLong")
        if not all(c["verified"] for c in claims):
            return refuse("SignatureInvalid")
        if [b[1] for b in bodies] != names[1:] + ["C"]:
            return refuse("ChainUnlinked")
        if any(b[5] and b[5] <= 5000 for b in bodies):
            return refuse("GrantExpired")
        if any(int(r["revoked_at_unix_ms"]) >= 100 for r in revokes):
            return refuse("GrantRevoked")
        if names[0] == "R":
            root, far, left = "R", 0, 255
        else:
            best = sorted(grants, key=lambda g: (-g["weight"], g["granter_peer_id"].encode()))
            if not best:
                return refuse("ChainExhausted")
            root, far, left = best[0]["granter_peer_id"], 1, min(best[0]["weight"], 255)
        if far + length > depth:
            return refuse("BudgetExceeded")
        for b in bodies:
            left = left * min(b[4], 255) // 255
        return {**admit(far + length, root), "standing": min(left, 127)} if left else refuse("AggregateWeightCapExceeded")

    graph = {"roots": ["R", "Q"], "grants": grants, "max_chain_depth": depth}
    return {"in": {"candidate": cand, "graph": graph, "claims": claims, "revokes": revokes, "now": "5000"}, "out": decide()}


def stretch(members):
    size = max(map(len, members))
    return [bytes(m[i * len(m) // size] for i in range(size)) for m in members]


def members():
    base = rng.randbytes(rng.randrange(4, 40))
    made = []
    for _ in range(rng.randrange(2, 9)):
        near = bytearray(base)
        near[rng.randrange(len(near))] ^= rng.randrange(256)
        made.append(rng.choice([bytes(near), rng.randbytes(rng.randrange(1, 50))]))
    return made


def multiplicity():
    ms = members()
    full = stretch(ms)
    size = len(full[0])
    norms = [sum(m) for m in full]
    groups = [{i} for i in range(len(full))]
    for i in range(len(full)):
        for j in range(i):
            if 1000 * sum(abs(a - b) for a, b in zip(full[i], full[j])) < 50 * 255 * size:
                a, b = (next(g for g in groups if x in g) for x in (i, j))
                if a is not b:
                    groups.remove(b)
                    a |= b
    masses = [x / sum(norms) if sum(norms) else 1 / len(norms) for x in norms]
    return {"in": [m.hex() for m in ms], "out": {"masses": masses, "max_source_multiplicity": max(map(len, groups))}}


def fold():
    ms, op = members(), rng.choice(["fountain-mean-v1", "fountain-decimate-v1", "fountain-mipmap-v1"])
    full = stretch(ms)
    n, size = len(full), len(full[0])

    def mean(values):
        return (sum(values) + len(values) // 2) // len(values)

    if op == "fountain-mean-v1":
        out = bytes(mean([m[i] for m in full]) for i in range(size))
    elif op == "fountain-decimate-v1":
        out = bytes(full[i % n][i] for i in range(size))
    else:
        out = bytes(mean([x for m in full for x in m[i : i + n]]) for i in range(0, size, n))
    return {"in": {"op": op, "members": [m.hex() for m in ms]}, "out": out.hex()}


def survival():
    total, need = rng.choice([(26, 20), (12, 8)])
    holders = rng.randrange(total, 2 * total + 1)
    q = rng.choice(["0.5", "0.7", "0.85", "0.95", "0.99"])
    p, two = Fraction(q), holders - total

    def tail(n, least, p):
        return sum(math.comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(max(least, 0), n + 1))

    p2 = 1 - (1 - p) ** 2
    exact = sum(math.comb(two, b) * p2**b * (1 - p2) ** (two - b) * tail(total - two, need - b, p) for b in range(two + 1))
    return {"in": [total, holders, need, float(q)], "out": {"independent": f"{float(tail(holders, need, p)):.9f}", "distinct": f"{float(exact):.9f}"}}


def classified():
    c = [rng.randrange(24), 20, 5]
    return {"in": c, "out": "Full" if c[0] >= 20 else "Partial" if c[0] >= 5 else "EnvelopeOnly"}


def ranked():
    c = [rng.choice([0, 1, 2, 3, 4, 255]), rng.choice([0, 7, 19, 20, 60, 2**31, 2**32 - 1]), rng.choice([0, 8, 20, 2**32 - 1])]
    return {"in": c, "out": priority(*c)}


REFUSED = [
    ([], {"error": "NoMembers"}),
    (["01", "", ""], {"error": "EmptyMember", "index": 1}),
    ([""], {"error": "EmptyMember"}),
]
FOLDS_REFUSED = [(op, *case) for op in ["fountain-mean-v1", "fountain-mipmap-v1"] for case in REFUSED]
FOLDS_REFUSED += [("fountain-median-v1", members, {"error": "MalformedInput"}) for members in (["01"], [])]

VERDICTS = [("Revoked", True), ("Revoked", False), ("Active", True), ("Active", False), ("Unknown", True), ("Unknown", False)]
SECTIONS = {
    "manifest": [manifest() for _ in range(8)],
    "rarity": [rarity() for _ in range(4)],
    "eject": [eject() for _ in range(40)],
    "retention_plan": [plan() for _ in range(40)],
    "retention_priority": [ranked() for _ in range(30)],
    "keep_count": [keep_count() for _ in range(40)],
    "evict_to_tier": [evict() for _ in range(20)],
    "classify": [classified() for _ in range(12)],
    "headroom": [headroom() for _ in range(40)],
    "decay_tier": [decay() for _ in range(40)],
    "bootstrap_walk": [walk() for _ in range(60)],
    "bootstrap_linked": [linked() for _ in range(60)],
    "multiplicity": [multiplicity() for _ in range(10)] + [{"in": members, "out": out} for members, out in REFUSED],
    "fold": [fold() for _ in range(15)] + [{"in": {"op": op, "members": ms}, "out": out} for op, ms, out in FOLDS_REFUSED],
    "ejection_verdict": [{"in": v, "out": "EjectHardDelete" if v[0] == "Revoked" else "EjectToTier" if v[1] else "Keep"} for v in VERDICTS],
    "survival": [survival() for _ in range(10)],
}


def line(case):
    return json.dumps(case, ensure_ascii=False, separators=(",", ":"))


sections = [f"{json.dumps(name)}: [\n" + ",\n".join(map(line, found)) + "\n]" for name, found in SECTIONS.items()]
OUT.write_text('{ "format": 1, "sections": {\n' + ",\n".join(sections) + "\n} }\n", encoding="utf-8")
