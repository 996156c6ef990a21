"""Makes conformance/vectors/control-plane-capability.json: certificates, floors, announcements, gates, tokens, channels.

Everything is put together here from the layouts of the specification, with Python's hashlib and OpenSSL's Ed25519; the dCBOR
encoder and the oracles for the gates are a second reading. Deterministic. Run: python3 conformance/generators/control_plane.py
"""

import hashlib
import json
import pathlib
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

OUT = pathlib.Path(__file__).resolve().parent.parent / "vectors" / "control-plane-capability.json"
NOW = 1_760_000_000
MS = NOW * 1000
state = 0


def rnd(n):
    global state
    out = b""
    while len(out) < n:
        out += hashlib.sha256(b"holomesh capability vectors" + state.to_bytes(8, "big")).digest()
        state += 1
    return out[:n]


def below(n):
    return int.from_bytes(rnd(6), "big") % n


def pick(items):
    return items[below(len(items))]


def le(n, size):
    return n.to_bytes(size, "little")


def kh(label, data):
    return hashlib.blake2s(data, key=label.encode()).digest()


class Entity:
    def __init__(self, seed=None):
        self.seed = seed or rnd(32)
        self.key = Ed25519PrivateKey.from_private_bytes(self.seed)
        self.id = self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.node = int.from_bytes(kh("net-node-id-v1", self.id)[:8], "little")

    def sign(self, label, body):
        return self.key.sign(label.encode() + b"\0" + body)


def flipped(data, at, bit=1):
    out = bytearray(data)
    out[at] ^= bit
    return bytes(out)


def nid(n):
    return f"{n:016x}"


def certs():
    out = []
    for kind in (1, 2):
        authority, member, other = Entity(), Entity(), Entity()
        begin, end = NOW - 100, NOW + 100
        body = b"MMC1" + bytes([kind]) + authority.id + member.id + le(begin, 8) + le(end, 8)
        cert = body + authority.sign("mesh/member/v1", body)
        label, size = ("mesh-subnet-v1", 16) if kind == 1 else ("mesh-group-v1", 32)
        common = {"id": kh(label, authority.id)[:size].hex(), "kind": kind}
        wrong_label = body + authority.sign("mesh/token/v2", body)
        late = b"MMC1" + bytes([kind]) + authority.id + member.id + le(end, 8) + le(end, 8)
        for name, data, claimer, now, skew, valid in [
            ("inside", cert, member, NOW, 60, True),
            ("first second", cert, member, begin - 60, 60, True),
            ("too early", cert, member, begin - 61, 60, False),
            ("last second", cert, member, end + 59, 60, True),
            ("too late", cert, member, end + 60, 60, False),
            ("no tolerance", cert, member, end, 0, False),
            ("tolerance is bounded", cert, member, end + 300, 4000, False),
            ("another claimer", cert, other, NOW, 60, False),
            ("signature", flipped(cert, 100), member, NOW, 60, False),
            ("another label", wrong_label, member, NOW, 60, False),
            ("kind", flipped(cert, 4, 4), member, NOW, 60, False),
            ("short", cert[:-1], member, NOW, 60, False),
            ("long", cert + b"\0", member, NOW, 60, False),
            ("no life", late + authority.sign("mesh/member/v1", late), member, NOW, 60, False),
        ]:
            case = {"name": name, "bytes": data.hex(), "claimer": claimer.id.hex(), "now": now, "skew": skew, "valid": valid}
            out.append(case | (common if valid else {}))
    return out


def floors():
    e = Entity()
    out = []
    for generation in (0, 1, 77, 2**32 - 1):
        body = b"MGF1" + e.id + le(generation, 4) + le(MS + generation, 8)
        record = body + e.sign("mesh/floor/v1", body)
        fields = {"entity": e.id.hex(), "generation": generation, "issued_ms": str(MS + generation)}
        out.append({"name": "ok", "bytes": record.hex(), "fields": fields, "seed": e.seed.hex()})
        out.append({"name": "short", "bytes": record[:-1].hex(), "error": "Malformed"})
        out.append({"name": "long", "bytes": (record + b"\1").hex(), "error": "Malformed"})
        out.append({"name": "magic", "bytes": flipped(record, 0).hex(), "error": "Malformed"})
        out.append({"name": "another generation", "bytes": flipped(record, 37).hex(), "error": "BadSignature"})
        # AUTH-R8b: signed by somebody else.
        out.append({"name": "foreign", "bytes": (body + Entity().sign("mesh/floor/v1", body)).hex(), "error": "BadSignature"})
    return out


def membership():
    s, t, g, h = rnd(16).hex(), rnd(16).hex(), rnd(32).hex(), rnd(32).hex()
    low, high = sorted([g, h])
    cases = [
        ([], None, [], False),
        (["subnet:" + s], s, [], False),
        (["subnet:" + s, "subnet:" + s.upper()], s, [], False),
        (["subnet:" + s, "subnet:" + t], None, [], True),
        (["subnet:" + s, "subnet:" + t, "group:" + h, "group:" + g], None, [low, high], True),
        (["group:" + g, "group:" + g.upper(), "x"], None, [g], False),
        (["SUBNET:" + s, "subnet:" + s[:-1], "subnet:" + s + "0", "subnet:" + s[:-1] + "g"], None, [], False),
        (["subnet:" + s, "group:" + s, "subnet:" + g], s, [], False),
    ]
    return [{"tags": t, "subnet": s, "groups": g, "collapsed": c} for t, s, g, c in cases]


def head(major, n):
    for size, low in ((0, 0), (1, 24), (2, 25), (4, 26), (8, 27)):
        if n < (24 if size == 0 else 1 << (8 * size)):
            return bytes([major << 5 | (n if size == 0 else low)]) + (n.to_bytes(size, "big") if size else b"")
    raise ValueError


def cbor(v):
    if isinstance(v, int):
        return head(0, v)
    if isinstance(v, bytes):
        return head(2, len(v)) + v
    if isinstance(v, str):
        return head(3, len(v.encode())) + v.encode()
    if isinstance(v, list):
        return head(4, len(v)) + b"".join(map(cbor, v))
    pairs = sorted((cbor(k), cbor(x)) for k, x in v.items())
    return head(5, len(pairs)) + b"".join(k + x for k, x in pairs)


def payload(e, body, hop=0, sign=True):
    signature = e.sign("mesh/ann/v1", body) if sign else bytes(64)
    return bytes([1, hop]) + le(len(body), 2) + signature + body


def base(e, version=1, **more):
    return {1: e.node, 2: e.id, 3: version, 4: MS, 5: 300} | {int(k[1:]): v for k, v in more.items()}


def announcements():
    e = Entity()
    out = []
    four = bytes([4, 192, 0, 2, 7]) + bytes(12) + le(4433, 2)
    six = bytes([6]) + bytes.fromhex("20010db8000000000000000000000001") + le(443, 2)
    nodes = sorted(int.from_bytes(rnd(8), "big") | 1 for _ in range(64))
    tags = sorted({f"t{i:03d}" for i in range(256)})
    # A byte order mark is part of its text: the last two keys are different ones.
    metadata = {"note": 'a"b\\c\n€', "zz": "", "__proto__": "x", "1": "one", "a": "", "\ufeffa": "\ufeff"}
    for hop, map_ in [
        (0, base(e)),
        (15, base(e, 2**63 - 1, f6=["nat:cone", "nrpc:echo"], f7=metadata, f8=sorted([four, six]), f9=3)),
        (3, base(e, 9, f10=nodes, f11=sorted(rnd(16) for _ in range(64)), f12=sorted(rnd(32) for _ in range(64)), f14=1)),
        (1, base(e, 10, f6=tags, f13=sorted(rnd(149) for _ in range(8)), f15=rnd(32))),
    ]:
        body = cbor(map_)
        sig = e.sign("mesh/ann/v1", body)
        f = {"node_id": nid(e.node), "entity_id": e.id.hex(), "version": str(map_[3]), "issued_ms": str(MS), "ttl_s": 300}
        j = dict(f)
        if 6 in map_:
            f["tags"] = j["tags"] = map_[6]
        if 7 in map_:
            f["metadata"] = map_[7]
            j["metadata"] = dict(sorted(map_[7].items(), key=lambda kv: kv[0].encode()))
        if 8 in map_:
            f["reflex"] = [x.hex() for x in map_[8]]
            j["reflex"] = ["192.0.2.7:4433", "[2001:db8::1]:443"]
        if 9 in map_:
            f["generation"] = j["generation"] = map_[9]
        for key, name in ((10, "allowed_nodes"), (11, "allowed_subnets"), (12, "allowed_groups"), (13, "certs")):
            if key in map_:
                texts = [nid(x) if key == 10 else x.hex() for x in map_[key]]
                # Builders take lists in any order.
                f[name], j[name] = list(reversed(texts)), texts
        if 14 in map_:
            f["flags"] = j["flags"] = map_[14]
        if 15 in map_:
            f["pq_hash"] = j["pq_hash"] = map_[15].hex()
        j["signature"] = sig.hex()
        # JSON.stringify leaves non-ASCII characters as they are.
        text = json.dumps(j, separators=(",", ":"), ensure_ascii=False) + "\n"
        out.append({"name": "ok", "seed": e.seed.hex(), "hop": hop, "fields": f, "body": body.hex(), "payload": payload(e, body, hop).hex(), "json": text})

    def bad(name, error, map_=None, body=None, raw=None):
        data = raw if raw is not None else payload(e, body if body is not None else cbor(map_))
        out.append({"name": name, "payload": data.hex(), "error": error})

    good = payload(e, cbor(base(e)))
    bad("form", "Malformed", raw=flipped(good, 0, 3))
    bad("hops", "HopLimit", raw=flipped(good, 1, 16))
    bad("length", "Malformed", raw=good + b"\0")
    bad("empty body", "Malformed", raw=bytes([1, 0, 0, 0]) + bytes(64))
    bad("header", "Malformed", raw=good[:67])
    bad("zero signature", "BadSignature", raw=payload(e, cbor(base(e)), sign=False))
    bad("signature", "BadSignature", raw=flipped(good, 40))
    bad("another label", "BadSignature", raw=good[:4] + e.sign("mesh/hello/v1", good[68:]) + good[68:])
    v = Entity()
    bad("somebody's node id (AUTH-R8)", "NodeIdMismatch", base(e) | {1: v.node})
    bad("somebody's entity", "BadSignature", base(v))
    bad("tail", "Malformed", body=cbor(base(e)) + b"\0")
    bad("list", "Malformed", body=cbor([1]))
    bad("text key", "Malformed", base(e) | {"a": 1})
    bad("long integer", "NonCanonical", body=cbor(base(e)).replace(b"\x03\x01", b"\x03\x18\x01"))
    for key in range(1, 6):
        bad(f"without {key}", "MissingField", {k: x for k, x in base(e).items() if k != key})
    for key in (0, 16, 63, 256, 2**40):
        bad(f"key {key}", "UnknownCriticalField", base(e) | {key: 1})
    for name, map_ in [
        ("node 0", base(e) | {1: 0}), ("node text", base(e) | {1: "1"}), ("entity", base(e) | {2: e.id[:31]}),
        ("version 0", base(e, 0)), ("ttl 0", base(e) | {5: 0}), ("ttl", base(e) | {5: 86401}), ("tag space", base(e, f6=["a b"])),
        ("tag long", base(e, f6=["a" * 193])), ("tag empty", base(e, f6=[""])), ("tag bytes", base(e, f6=[b"a"])),
        ("tags", base(e, f6=sorted(f"{i:04d}" for i in range(257)))), ("tag delete", base(e, f6=["a\x7f"])),
        ("metadata key", base(e, f7={"": "x"})), ("metadata key long", base(e, f7={"k" * 65: "x"})),
        ("metadata value", base(e, f7={"k": "x" * 4097})), ("metadata sum", base(e, f7={"a": "x" * 4096, "b": "x" * 4096})),
        ("metadata count", base(e, f7={f"{i}": "" for i in range(65)})), ("metadata kind", base(e, f7={"k": 1})),
        ("reflex mapped", base(e, f8=[bytes([6]) + bytes(10) + b"\xff\xff" + bytes(4) + bytes(2)])), ("reflex", base(e, f8=[four[:18]])),
        ("reflexes", base(e, f8=sorted(bytes([4, 1, 1, 1, i]) + bytes(14) for i in range(5)))), ("generation", base(e, f9=2**32)),
        ("allowed 0", base(e, f10=[0, 1])), ("subnet", base(e, f11=[rnd(15)])), ("group", base(e, f12=[rnd(16)])),
        ("cert", base(e, f13=[rnd(148)])), ("certs", base(e, f13=sorted(rnd(149) for _ in range(9)))), ("flags", base(e, f14=2)),
        ("flags 3", base(e, f14=3)), ("pq hash", base(e, f15=rnd(31))), ("not a list", base(e, f6="a")),
    ]:
        bad(name, "BadField", map_)
    for name, map_ in [
        ("no tags", base(e, f6=[])), ("no metadata", base(e, f7={})), ("no reflex", base(e, f8=[])), ("generation 0", base(e, f9=0)),
        ("no nodes (AUTH-R6)", base(e, f10=[])), ("no subnets", base(e, f11=[])), ("no groups", base(e, f12=[])),
        ("no certs", base(e, f13=[])), ("flags 0", base(e, f14=0)), ("pq zero", base(e, f15=bytes(32))),
        ("tags order", base(e, f6=["b", "a"])), ("tag twice", base(e, f6=["a", "a"])), ("node twice", base(e, f10=[5, 5])),
        ("groups order", base(e, f12=[b"\2" * 32, b"\1" * 32])), ("reflex order", base(e, f8=[six, four])),
    ]:
        bad(name, "NonCanonical", map_)
    for key, items in ((10, nodes + [2**64 - 1]), (11, sorted(rnd(16) for _ in range(65))), (12, sorted(rnd(32) for _ in range(65)))):
        bad(f"65 in {key} (AUTH-R3)", "AllowListTooLong", base(e) | {key: items})
    out.append({"name": "extension is ignored", "hop": 0, "payload": payload(e, cbor(base(e) | {64: [1, {"x": b"y"}], 255: 5})).hex()})
    return out


def accept_sequence():
    """Every outcome once, with what it does to pins, floors and index."""
    me, a, b, c = Entity(), Entity(), Entity(), Entity()
    steps, at = [], MS

    def step(e, version, hop, sender, outcome, forward=None, fields=None, data=None, wait=1000):
        nonlocal at
        at += wait
        raw = data or payload(e, cbor(base(e, version) | (fields or {})), hop)
        steps.append({"payload": raw.hex(), "from": nid(sender.node), "at": at, "outcome": outcome, "forward": forward})

    meta = {7: {"note": "kept", "owner": "x", "intent": "y", "priority": "z", "colocate-with": "q"}}
    forged = payload(b, cbor(base(b, 5)), 2, sign=False)
    step(b, 5, 2, a, "BadSignature", data=forged)
    # AUTH-R22: the forged copy does not block the genuine one. AUTH-R10: nobody is pinned by a forwarded copy.
    step(b, 5, 2, a, "accepted", 3, meta)
    step(b, 5, 2, c, "duplicate", None, meta)
    # AUTH-R9: the direct copy still pins.
    step(b, 5, 0, b, "duplicate", 1, meta)
    step(b, 5, 0, b, "duplicate", None, meta)
    step(b, 5, 4, a, "Equivocation", None, {6: ["other"]})
    step(b, 4, 3, a, "StaleVersion", None, {9: 7})
    step(a, 1, 0, c, "NotOrigin")
    step(a, 1, 16, a, "HopLimit")
    step(a, 1, 15, c, "accepted", None)
    step(a, 2, 14, c, "accepted", 15, {9: 2, 10: [b.node]})
    step(a, 3, 1, c, "FromFuture", None, {4: at + 1000 + 60_001})
    step(a, 3, 1, c, "accepted", 2, {4: at + 1000 + 60_000})
    step(a, 4, 1, c, "Expired", None, {4: at + 1000 - 360_000})
    step(a, 4, 1, c, "accepted", 2, {4: at + 1000 - 359_000})
    step(me, 9, 3, c, "own")
    step(c, 1, 0, c, "accepted", 1, {5: 5})
    step(c, 1, 0, c, "duplicate", None, {5: 5}, wait=6000)
    index = {
        nid(b.node): {"version": "5", "tags": [], "metadata": {"note": "kept"}, "expires": MS + 2000 + 300_000},
    }
    # a's last lease ended with its origin's, after one more second.
    pins = {nid(b.node): b.id.hex(), nid(c.node): c.id.hex()}
    expected = {a.id.hex(): 2, b.id.hex(): 7, c.id.hex(): 0}
    # b's lease: 300 s from receipt is earlier than 360 s from issue.
    return [{"self": nid(me.node), "steps": steps, "pins": pins, "floors": expected, "index": index, "index_at": at}]


def worlds():
    may, call = [], []
    services = ["echo", "mix"]
    for _ in range(5):
        subnets, groups = [rnd(16) for _ in range(2)], [rnd(32) for _ in range(3)]
        nodes = [nid(int.from_bytes(rnd(8), "big")) for _ in range(7)]
        entries = []
        for n in nodes[:6]:
            tags = [f"nrpc:{s}" for s in services if below(3)] + [f"subnet:{s.hex()}" for s in subnets if below(3) == 0]
            tags += [f"group:{g.hex()}" for g in groups if below(3) == 0]
            lists = [[x for x in nodes if below(5) == 0], [s for s in subnets if below(3) == 0], [g for g in groups if below(3) == 0]]
            if below(3) == 0:
                lists = [[], [], []]
            proven = [[s for s in subnets if below(2)], [g for g in groups if below(2)]]
            entries.append((n, tags, lists, below(2) == 1, proven, MS + 1000 * below(4)))

        def allowed(target, tag, caller):
            live = {x[0]: x for x in entries if MS < x[5]}
            t = live.get(target)
            if t is None or tag not in t[1]:
                return False
            if caller == target or not any(t[2]) or caller in t[2][0]:
                return True
            c = live.get(caller)
            if c is None:
                return False
            subs = {x[7:] for x in c[1] if x.startswith("subnet:")}
            grps = {x[6:] for x in c[1] if x.startswith("group:")}
            if len(subs) != 1:
                subs = set()
            if t[3]:
                subs &= {x.hex() for x in c[4][0]}
                grps &= {x.hex() for x in c[4][1]}
            return bool(subs & {x.hex() for x in t[2][1]} or grps & {x.hex() for x in t[2][2]})

        shown = [
            {"node": n, "tags": t, "allowed_nodes": l[0], "allowed_subnets": [x.hex() for x in l[1]], "allowed_groups": [x.hex() for x in l[2]],
             "strict": s, "proven_subnets": [x.hex() for x in p[0]], "proven_groups": [x.hex() for x in p[1]], "expires": x}
            for n, t, l, s, p, x in entries
        ]
        queries = [{"target": t, "tag": f"nrpc:{s}", "caller": c, "allow": allowed(t, f"nrpc:{s}", c)} for t in nodes for c in nodes for s in services]
        may.append({"now": MS, "entries": shown, "queries": queries})
        for service in services + ["nobody"]:
            me = pick(nodes)
            sick = [n for n in nodes if below(4) == 0]
            offering = sorted(x[0] for x in entries if MS < x[5] and f"nrpc:{service}" in x[1] and x[0] != me and x[0] not in sick)
            ok = [n for n in offering if allowed(n, f"nrpc:{service}", me)]
            result = {"kind": "candidates", "nodes": ok} if ok else {"kind": "no-route"}
            if offering and not ok:
                result = {"kind": "capability-denied", "target": offering[0], "capability": service}
            call.append({"now": MS, "world": shown, "self": me, "service": service, "unhealthy": sick, "result": result})
    return may, call


def channel_names():
    ok = ["a", "AV/Room-1", "x.y/z_1", "a" * 255, "qg", "a/qg", "qg/a/b", "A.B/c"]
    out = []
    for n in ok:
        name = n.lower()
        out.append({"input": n, "canonical": name, "hash": str(int.from_bytes(kh("mesh-channel-v1", name.encode())[:8], "little"))})
    for n, error in [
        ("", "Empty"), ("a" * 256, "TooLong"), ("é" * 128, "TooLong"), ("é", "InvalidChar"), ("a b", "InvalidChar"), ("a\0", "InvalidChar"),
        ("\u212a", "InvalidChar"), ("a\\b", "InvalidChar"), ("/", "Malformed"), ("/a", "Malformed"), ("a/", "Malformed"), ("a//b", "Malformed"),
        (".", "Malformed"), ("..", "Malformed"), ("a/../b", "Malformed"), ("a/.b", "Malformed"), ("a./b", "Malformed"), ("a..b", "Malformed"),
        ("a/qg/b", "Reserved"), ("QG/b", "Reserved"),
    ]:
        out.append({"input": n, "error": error})
    return out


def token(issuer, subject, scope=2, channel=5, generation=1, begin=NOW, end=NOW + 1000, depth=0, nonce=7, signer=None):
    body = b"MPT2" + issuer.id + subject.id + le(scope, 4) + le(channel, 8) + le(generation, 4) + le(begin, 8) + le(end, 8) + bytes([depth]) + le(nonce, 8)
    return body + (signer or issuer).sign("mesh/token/v2", body)


def tokens():
    a, b = Entity(), Entity()
    out = []
    for scope, channel, depth in ((2, 5, 0), (15, 2**64 - 1, 255), (31, 0, 3), (1, 0, 1)):
        fields = {"issuer": a.id.hex(), "subject": b.id.hex(), "scope": scope, "channel_hash": str(channel), "generation": 9,
                  "not_before": str(NOW), "not_after": str(NOW + 1000), "delegation_depth": depth, "nonce": str(2**64 - 3)}
        raw = token(a, b, scope, channel, 9, depth=depth, nonce=2**64 - 3)
        out.append({"name": "ok", "seed": a.seed.hex(), "fields": fields, "bytes": raw.hex(), "signature_valid": True})
        out.append({"name": "signature", "bytes": flipped(raw, 120).hex(), "signature_valid": False})
        out.append({"name": "subject", "bytes": flipped(raw, 40).hex(), "signature_valid": False})
        for name, data in [("169 bytes (CHAN-R15)", raw[4:]), ("172", raw[:-1]), ("174", raw + b"\0"), ("magic", flipped(raw, 3)), ("scope bit 5", flipped(raw, 68, 32)), ("scope bit 24", flipped(raw, 71))]:
            out.append({"name": name, "bytes": data.hex(), "error": "InvalidFormat"})
    for name, data in [("scope 0", token(a, b, 0)), ("wildcard with channel", token(a, b, 18, 5)), ("no life", token(a, b, end=NOW))]:
        out.append({"name": name, "bytes": data.hex(), "error": "InvalidFormat"})
    return out


def issue():
    out = []
    for ttl in (1, 59, 60, 61, 3600, 31_536_000):
        for skew in (0, 60, 300, 999):
            end = NOW + max(1, ttl - min(skew, 300))
            out.append({"now": NOW, "ttl": ttl, "skew": skew, "not_before": str(NOW), "not_after": str(end)})
    out.append({"now": NOW, "ttl": 0, "skew": 60, "error": "ZeroTtl"})
    out.append({"now": NOW, "ttl": 31_536_001, "skew": 60, "error": "TtlTooLong"})
    return out


def delegate():
    root, holder, other, child = Entity(), Entity(), Entity(), Entity()
    out = []

    def case(parent, error=None, expected=None, signer=holder, restrict=15, narrow=99, floors=None, generation=4, skew=60):
        c = {"parent": parent.hex(), "signer_seed": signer.seed.hex(), "signer_generation": generation, "new_subject": child.id.hex(),
             "restrict": restrict, "narrow_to": str(narrow), "now": NOW, "skew": skew, "floors": floors or {}, "nonce": "12"}
        out.append(c | ({"error": error} if error else {"bytes": expected.hex()}))

    year = 31_536_000
    p = lambda **k: token(root, holder, **({"scope": 11, "depth": 2, "end": NOW + 5000} | k))
    made = lambda **k: token(holder, child, **({"scope": 11, "generation": 4, "depth": 1, "end": NOW + 5000, "nonce": 12} | k))
    case(p(), expected=made())
    case(p(begin=NOW - 50), expected=made())
    case(p(begin=NOW + 50), expected=made(begin=NOW + 50))
    case(p(end=NOW + year), expected=made(end=NOW + 2_592_000))
    case(p(), expected=made(scope=2), restrict=2)
    case(p(scope=27, channel=0), expected=made(channel=99))
    case(p(scope=27, channel=0), expected=made(scope=27, channel=0), restrict=31)
    case(p(signer=other), "InvalidSignature")
    case(p(begin=NOW, end=NOW + year + 1), "TtlTooLong")
    case(p(begin=NOW + 61), "NotYetValid")
    case(p(begin=NOW - 100, end=NOW - 60), "Expired")
    case(p(), "Revoked", floors={root.id.hex(): 2})
    case(p(depth=0), "DelegationExhausted")
    case(p(scope=3), "DelegationNotAllowed")
    case(p(), "NotAuthorized", signer=other)
    case(p(), "NotAuthorized", restrict=4)
    # The order of the checks.
    case(p(scope=3, depth=0), "DelegationExhausted", signer=other)
    case(p(scope=3), "DelegationNotAllowed", signer=other)
    return out


def authorizes():
    out = []
    for scope in (1, 2, 3, 15, 18, 24, 31):
        for action in (0, 1, 2, 3, 4, 8):
            for held, asked in ((5, 5), (5, 6), (0, 6), (0, 0)):
                result = action != 0 and scope & action == action and (scope & 16 != 0 or held == asked)
                out.append({"scope": scope, "token_hash": str(held), "action": action, "channel_hash": str(asked), "result": result})
    return out


def chains():
    root, mid, leaf, other = Entity(), Entity(), Entity(), Entity()
    out = []
    r = lambda **k: token(root, mid, **({"scope": 10, "depth": 2, "begin": NOW - 1000, "end": NOW + 3000} | k))
    m = lambda **k: token(mid, leaf, **({"scope": 2, "depth": 1, "begin": NOW - 900, "end": NOW + 2000} | k))

    def case(fault, links, result, action=2, channel=5, presenter=leaf, roots=None, floors=None, now=NOW, skew=60, count=None):
        raw = bytes([len(links) if count is None else count]) + b"".join(links)
        out.append({"fault": fault, "bytes": raw.hex(), "action": action, "channel_hash": str(channel), "presenter": presenter.id.hex(),
                    "roots": [x.id.hex() for x in ([root] if roots is None else roots)], "floors": floors or {}, "now": now, "skew": skew, "result": result})

    case("none", [r(), m()], "Ok")
    case("one link", [r()], "Ok", presenter=mid)
    case("wildcard", [r(scope=26, channel=0), m()], "Ok")
    case("other root too", [r(), m()], "Ok", roots=[other, root])
    case("no roots", [r(), m()], "NotAuthorized", roots=[])
    case("foreign root (CHAN-R1)", [r(), m()], "NotAuthorized", roots=[other])
    case("presenter (CHAN-R4)", [r(), m()], "NotAuthorized", presenter=mid)
    case("count", [r(), m()], "InvalidFormat", count=1)
    case("nothing", [], "InvalidFormat")
    case("nine", [m()] * 9, "InvalidFormat")
    case("signature", [r(signer=other), m()], "InvalidSignature")
    case("signature of the leaf", [r(), m(signer=other)], "InvalidSignature")
    case("root is wide", [r(end=NOW + 31_536_000), m()], "TtlTooLong")
    case("early", [r(), m()], "NotYetValid", now=NOW - 1061)
    case("edge of early", [r(), m()], "NotYetValid", now=NOW - 961)
    case("just inside", [r(), m()], "Ok", now=NOW - 960)
    case("late", [r(), m()], "Expired", now=NOW + 2060)
    case("just not late", [r(), m()], "Ok", now=NOW + 2059)
    case("root's floor (CHAN-R6)", [r(), m()], "Revoked", floors={root.id.hex(): 2})
    case("middle's floor", [r(), m()], "Revoked", floors={mid.id.hex(): 2})
    case("leaf's own floor says nothing", [r(), m()], "Ok", floors={leaf.id.hex(): 9})
    case("action", [r(), m()], "NotAuthorized", action=1)
    case("channel", [r(), m()], "NotAuthorized", channel=6)
    case("leaf's channel", [r(scope=26, channel=0), m(channel=6)], "NotAuthorized")
    case("spliced (CHAN-R5)", [token(root, other, 10, depth=2, begin=NOW - 1000, end=NOW + 3000), m()], "NotAuthorized")
    case("not delegable", [r(scope=2), m()], "DelegationNotAllowed")
    case("as deep", [r(), m(depth=2)], "NotAuthorized")
    case("earlier", [r(), m(begin=NOW - 1001)], "NotAuthorized")
    case("longer", [r(), m(end=NOW + 3001)], "NotAuthorized")
    case("over-long link", [r(end=NOW + 5_000_000), m(end=NOW + 2_592_001)], "TtlTooLong")
    return out


def membership_frames():
    a, b = Entity(), Entity()
    chain = b"\1" + token(a, b)
    eight = b"\x08" + token(a, b) * 8
    name = b"av/room-1"
    n = 2**63 + 5
    good = [
        ({"kind": "SUBSCRIBE", "nonce": str(n), "name": "av/room-1", "chain": "", "group": ""}, b"\0" + le(n, 8) + b"\x09" + name + b"\0\0\0"),
        ({"kind": "SUBSCRIBE", "nonce": "0", "name": "x", "chain": chain.hex(), "group": "w1"}, b"\0" + bytes(8) + b"\x01x" + le(174, 2) + chain + b"\x02w1"),
        ({"kind": "SUBSCRIBE", "nonce": "0", "name": "x", "chain": eight.hex(), "group": ""}, b"\0" + bytes(8) + b"\x01x" + le(1385, 2) + eight + b"\0"),
        ({"kind": "UNSUBSCRIBE", "nonce": "1", "name": "x"}, b"\1" + le(1, 8) + b"\x01x"),
        ({"kind": "ACK", "nonce": "1", "accepted": 1, "reason": 0}, b"\2" + le(1, 8) + b"\1\0"),
        ({"kind": "ACK", "nonce": "1", "accepted": 0, "reason": 6}, b"\2" + le(1, 8) + b"\0\6"),
        ({"kind": "PUBLISH_OPEN", "nonce": "1", "handle": 2**32 - 1, "name": "x", "chain": ""}, b"\3" + le(1, 8) + b"\xff" * 4 + b"\x01x\0\0"),
        ({"kind": "PUBLISH_CLOSE", "handle": 9}, b"\4" + le(9, 4)),
    ]
    out = [{"fields": f, "bytes": raw.hex()} for f, raw in good]
    for name_, raw in [
        ("nothing", b""), ("kind", b"\5" + bytes(4)), ("trailing", good[3][1] + b"\0"), ("short", good[0][1][:-1]), ("empty name", b"\1" + bytes(9)),
        ("upper case", b"\1" + bytes(8) + b"\1X"), ("reserved", b"\1" + bytes(8) + b"\6a/qg/b"), ("not UTF-8", b"\1" + bytes(8) + b"\1\xff"),
        ("accepted 2", b"\2" + bytes(8) + b"\2\0"), ("reason 7", b"\2" + bytes(8) + b"\0\7"), ("chain of 1", b"\0" + bytes(8) + b"\1x\1\0\0\0"),
        ("chain of nine", b"\0" + bytes(8) + b"\1x" + le(1 + 9 * 173, 2) + bytes(1 + 9 * 173) + b"\0"),
        ("group with slash", b"\0" + bytes(8) + b"\1x\0\0\3a/b"), ("long group", b"\0" + bytes(8) + b"\1x\0\0\x41" + b"a" * 65),
    ]:
        out.append({"name": name_, "bytes": raw.hex(), "error": "Malformed"})
    return out


def ttl():
    return [{"reannounce_ms": r, "min_announce_ms": m, "ttl_s": t} for r, m, t in [
        (150_000, 10_000, 300), (5_000, 10_000, 20), (0, 0, 2), (1, 1, 1), (10**12, 0, 86_400), (None, 10_000, 300), (86_400_000, 1, 86_400)]]


may, call = worlds()
sections = {"certs": certs(), "floors": floors(), "membership": membership(), "announcements": announcements(), "accept_sequence": accept_sequence(),
            "may_execute": may, "call_service": call, "channel_names": channel_names(), "tokens": tokens(), "issue": issue(), "delegate": delegate(),
            "authorizes": authorizes(), "chains": chains(), "membership_frames": membership_frames(), "ttl": ttl()}
OUT.write_text(json.dumps({"format": "control-plane-vectors/1", "sections": sections}, separators=(",", ":"), ensure_ascii=False) + "\n")
