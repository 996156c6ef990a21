"""Makes conformance/vectors/{seal,keys,signatures,identity}.json with other implementations than the product uses.

Python's hashlib and hmac, and OpenSSL through the `cryptography` package (48 or newer), know nothing of our code: what agrees
with these files agrees with the specification as read twice. Deterministic, except for ML-DSA signatures and ML-KEM
ciphertexts, which OpenSSL randomises. Run: python3 conformance/generators/keys.py
"""

import hashlib
import hmac
import json
import pathlib
from cryptography.hazmat.primitives.asymmetric import mldsa, mlkem
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

OUT = pathlib.Path(__file__).resolve().parent.parent / "vectors"
P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
NAMES = ["ada", "Grüße-7", "mk1" + "5e" * 32, "山", "🦊-node"]
state = 0


def rnd(n):
    """The next n bytes of a fixed stream."""
    global state
    out = b""
    while len(out) < n:
        out += hashlib.sha256(b"holomesh own vectors" + state.to_bytes(8, "big")).digest()
        state += 1
    return out[:n]


def num(bits):
    return int.from_bytes(rnd(8), "big") >> (64 - bits)


def u64(n):
    return n.to_bytes(8, "big")


def lp16(b):
    b = b.encode() if isinstance(b, str) else b
    return len(b).to_bytes(2, "big") + b


def sha(b):
    return hashlib.sha256(b).digest()


def mac(key, b):
    return hmac.new(key, b, hashlib.sha256).digest()


def expand(prk, info, n):
    out, block, i = b"", b"", 1
    while len(out) < n:
        block = mac(prk, block + info + bytes([i]))
        out, i = out + block, i + 1
    return out[:n]


def hkdf(ikm, salt, info, n=32):
    return expand(mac(salt or bytes(32), ikm), info, n)


def kh(label, b):
    return hashlib.blake2s(b, key=label.encode()).digest()


def expand_with_label(secret, label, context, n):
    def vec(x):
        return (bytes([len(x)]) if len(x) < 64 else (0x4000 | len(x)).to_bytes(2, "big")) + x

    return expand(secret, n.to_bytes(2, "big") + vec(b"MLS 1.0 " + label.encode()) + vec(context), n)


def exporter(secret, label, context, n):
    return expand_with_label(expand_with_label(secret, label, b"", 32), "exported", sha(context), n)


def inner_nonce(stream, epoch, seq):
    return sha(b"CIRIS-AV-INNER-V1" + stream + u64(epoch) + u64(seq))[:12]


def outer_nonce(link, seq):
    return sha(b"CIRIS-AV-OUTER-V1" + link + u64(seq))[:12]


def blob(b):
    return {"hex": b.hex()} if len(b) <= 200 else {"len": len(b), "sha256": sha(b).hex()}


def pick(i):
    return NAMES[i % len(NAMES)]


def header_case(i):
    """Header members, and the 52 bytes they make."""
    layer = {"spatial": num(8) if i else 0, "temporal": num(2), "quality": num(8) if i > 2 else 0}
    case = {"stream_id": rnd(32).hex(), "epoch": str(num(64 if i % 2 else 8)), "chunk_seq": str(num(32)), "codec_id": [1, 128, 129, 77][i % 4], "layer": layer}
    return case, header(case)


def header(c):
    layer = c["layer"]
    tail = bytes([c["codec_id"], layer["spatial"], layer["temporal"], layer["quality"]])
    return bytes.fromhex(c["stream_id"]) + u64(int(c["epoch"])) + u64(int(c["chunk_seq"])) + tail


def aads(profile, head):
    return (b"AVMESH-IN-AAD-V1" + head, b"AVMESH-OUTAAD-V1" + head) if profile else (b"", b"")


def opens(profile):
    changed = "OuterAead" if profile else "InnerAead"
    unseen = "OuterAead" if profile else "ok"
    return {
        "good": "ok", "wrong_transit_key": "OuterAead", "wrong_dek": "InnerAead", "wrong_link_id": "OuterAead", "wrong_link_seq": "OuterAead",
        "flip_stream_id": changed, "flip_epoch": changed, "flip_chunk_seq": changed, "flip_codec": unseen, "flip_spatial": unseen,
        "flip_temporal": unseen, "flip_quality": unseen, "flip_first_ct": "OuterAead", "flip_last": "OuterAead", "truncated": "OuterAead",
        "header_plus_15": "OuterAead",
    }


def seal_case(profile, i):
    c, head = header_case(i)
    n, mul, add = [0, 1, 64, 1034, 15000][i], num(8), num(8)
    plain = bytes((mul * k + add) & 255 for k in range(n))
    dek, transit, link, seq = rnd(32), rnd(32), pick(i).encode(), num(40)
    nonce_in = inner_nonce(head[:32], int(c["epoch"]), int(c["chunk_seq"]))
    aad_in, aad_out = aads(profile, head)
    inner = AESGCM(dek).encrypt(nonce_in, plain, aad_in)
    wire = head + AESGCM(transit).encrypt(outer_nonce(link, seq), inner, aad_out)
    return c | {
        "plaintext": {"len": n, "mul": mul, "add": add}, "epoch_dek": dek.hex(), "transit_key": transit.hex(), "link_id": link.hex(),
        "link_seq": str(seq), "inner_nonce": nonce_in.hex(), "outer_nonce": outer_nonce(link, seq).hex(), "inner_ciphertext": blob(inner),
        "wire": blob(wire), "open": opens(profile),
    }


def hops_case(profile, i):
    c, head = header_case(i)
    plain, dek = rnd(40), rnd(32)
    aad_in, aad_out = aads(profile, head)
    inner = AESGCM(dek).encrypt(inner_nonce(head[:32], int(c["epoch"]), int(c["chunk_seq"])), plain, aad_in)
    hops = []
    for k in range(3):
        transit, link, seq = rnd(32), pick(k).encode(), num(32)
        wire = head + AESGCM(transit).encrypt(outer_nonce(link, seq), inner, aad_out)
        hops.append({"transit_key": transit.hex(), "link_id": link.hex(), "link_seq": str(seq), "wire": wire.hex(), "inner_same": True})
    return c | {"plaintext": plain.hex(), "epoch_dek": dek.hex(), "inner_ciphertext": inner.hex(), "hops": hops}


def replay_case(width):
    """The rules of av-mesh 4.1 with a set and an unbounded integer."""
    highest, seen, seqs, outcomes, at = None, set(), [], [], 2**53 - 3 * width
    for k in range(100):
        at = max(0, at + num(8) % 90 - 40 + (width * 2 if k % 40 == 39 else 0))
        if highest is None or at > highest:
            highest, outcome = at, "Fresh"
        elif highest - at >= width:
            outcome = "StaleBelowWindow"
        else:
            outcome = "Duplicate" if at in seen else "Fresh"
        seen.add(at)
        seqs.append(str(at))
        outcomes.append(outcome)
    return {"width": width, "seqs": seqs, "outcomes": outcomes}


def dedup_case(capacity):
    ring, ops = [], []
    for _ in range(120):
        key = (1 + num(1), num(5))
        fresh = key not in ring
        if fresh:
            ring = (ring + [key])[-capacity:]
        ops.append([key[0], key[1], fresh])
    return {"capacity": capacity, "ops": ops}


def keep_alive(i):
    transit, link, seq, stream = rnd(32), pick(i).encode(), num(32), rnd(32)
    tag = AESGCM(transit).encrypt(outer_nonce(link, seq), b"", b"AVMESH-KEEPALIVE" + stream)
    frame = b"\x02" + u64(seq) + stream + tag
    return {"transit_key": transit.hex(), "link_id": link.hex(), "link_seq": str(seq), "stream_id": stream.hex(), "frame": frame.hex()}


def stream_id(i):
    room, path, instance, label = rnd(32), list(rnd(i)), rnd(16), ["cam", "mic", "écran"][i % 3]
    pre = b"AVMESH-STREAM-V1" + bytes([i % 2]) + lp16(room) + lp16(pick(i)) + lp16(label) + lp16(bytes(path)) + instance
    return {"seal_profile": i % 2, "room_id": room.hex(), "publisher_key_id": pick(i), "track_label": label, "sub_stream_path": path,
            "instance": instance.hex(), "stream_id": sha(pre).hex()}


def transit_key(i):
    session, stream, nonce = rnd(32), rnd(32), rnd(16)
    info = b"AVMESH-TRANSIT-1" + stream + lp16(pick(i)) + lp16(pick(i + 1)) + nonce
    return {"session_key": session.hex(), "stream_id": stream.hex(), "sender_key_id": pick(i), "receiver_key_id": pick(i + 1),
            "sub_nonce": nonce.hex(), "transit_key": hkdf(session, b"", info).hex()}


def link_key(i):
    a, b = pick(i), pick(i + 1)
    x, m, kex1, kex2 = rnd(32), rnd(32), b"\x01" + rnd(1232), b"\x02" + rnd(1136)
    t, names = sha(kex1 + kex2), lp16(a) + lp16(b)
    auth = [(b"AVMESH-LINKAUTH1" + bytes([role]) + t + names).hex() for role in (1, 2)]
    return {"initiator_key_id": a, "responder_key_id": b, "x25519_shared": x.hex(), "mlkem768_shared": m.hex(), "kex1": kex1.hex(),
            "kex2_body": kex2.hex(), "session_key": hkdf(x + m, t, b"AVMESH-LINKKEY-1" + names).hex(),
            "auth_message_responder": auth[1], "auth_message_initiator": auth[0]}


def reference_kex():
    x, m, eph, rx, ct, rm = rnd(32), rnd(32), rnd(32), rnd(32), rnd(1088), rnd(1184)
    return {"x25519_shared": x.hex(), "mlkem768_shared": m.hex(), "eph_x25519_pub": eph.hex(), "responder_x25519_pub": rx.hex(),
            "mlkem_ciphertext": ct.hex(), "responder_mlkem_pub": rm.hex(), "session_key": hkdf(x + m, eph + rx + ct + rm, b"CIRIS-FED-KEX-V1").hex()}


def root_secret():
    s = rnd(32)
    return {"exporter_secret": s.hex(), "root_secret": exporter(s, "ciris-realtime-av-epoch-dek-seed-v1", b"", 32).hex()}


def stream_dek():
    root, stream, epoch = rnd(32), rnd(32), num(64)
    return {"root_secret": root.hex(), "stream_id": stream.hex(), "epoch": str(epoch),
            "stream_dek": expand(root, b"AVMESH-STRMDEK-1" + stream + u64(epoch), 32).hex()}


def nonces():
    inner, outer = [], []
    for i in range(3):
        stream, epoch, seq = rnd(32), num(64), num(40)
        inner.append({"stream_id": stream.hex(), "epoch": str(epoch), "chunk_seq": str(seq), "nonce": inner_nonce(stream, epoch, seq).hex()})
        outer.append({"link_id": pick(i).encode().hex(), "link_seq": str(seq), "nonce": outer_nonce(pick(i).encode(), seq).hex()})
    return inner, outer


def live_case(n):
    k = max(1, -(-n // 1000))
    size = max(1, n) if k == 1 else max(64, 8 * -(-(-(-n // k)) // 8))
    return {"len": n, "n_source": k, "symbol_size": size, "k_repair": max(1, -(-3 * k // 10)), "min_viable_symbols": 0}


def seal_file():
    inner, outer = nonces()
    return "av-mesh", {
        "inner_nonce": inner, "outer_nonce": outer,
        "seal_profile0": [seal_case(0, i) for i in range(5)], "seal_profile1": [seal_case(1, i) for i in range(5)],
        "hops_profile0": [hops_case(0, 1)], "hops_profile1": [hops_case(1, 1), hops_case(1, 2)],
        "stream_id": [stream_id(i) for i in range(4)], "transit_key": [transit_key(i) for i in range(3)],
        "link_key": [link_key(i) for i in range(2)], "reference_kex": [reference_kex()],
        "root_secret": [root_secret() for _ in range(2)], "stream_dek": [stream_dek() for _ in range(2)],
        "link_keep_alive": [keep_alive(i) for i in range(3)], "replay_window": [replay_case(w) for w in (64, 192, 1024)],
        "replay_window_bad_width": [{"width": w, "result": "ReplayWindowWidth"} for w in (0, 32, 63, 1000)], "dedup_ring": dedup_case(9),
        "oti": [{"n_source": k, "symbol_size": t, "oti": ((k * t).to_bytes(5, "big") + b"\0" + t.to_bytes(2, "big") + b"\1\0\1\1").hex(),
                 "payload_ids": [{"symbol_id": s, "bytes": s.to_bytes(4, "big").hex()} for s in (0, k, k + 300)]} for k, t in ((13, 72), (50000, 65528))],
        "fec_quality": [{"n_source": 12, "symbol_id": s, "quality": q} for s, q in ((0, 0), (11, 0), (12, 1), (13, 2), (266, 255), (9999, 255))],
        "live_fountain": [live_case(n) for n in (1, 999, 1000, 1001, 2500, 10240, 191999)],
    }


def room_case_names():
    return [("a", rnd(32)), ("team.7", rnd(32)), ("x_y-z", rnd(32))]


def keys_of(name, k):
    return hkdf(k, b"", b"AVMESH-INVITE-V1" + lp16(name)), hkdf(k, b"", b"AVMESH-INVRELAY1" + lp16(name))


def proof(key, role, bind, a, b):
    return mac(key, b"AVMESH-INVPROOF1" + bytes([role]) + bind + lp16(a) + lp16(b))


def crockford(b):
    n, digits = int.from_bytes(b, "big"), "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
    text = "".join(digits[(n >> (35 - 5 * i)) & 31] for i in range(8))
    return text[:4] + "-" + text[4:]


def room_file():
    s = {k: [] for k in ("invitation_keys link_bind invitation_proof invitation_proof_check welcome_proof room_id room_id_check epoch_tip "
                         "room_channel room_code ring_position").split()}
    for name, k in room_case_names():
        invite, relay = keys_of(name, k)
        s["invitation_keys"].append({"name": name, "open": False, "k": k.hex(), "invite_key": invite.hex(), "relay_key": relay.hex()})
        opened = sha(b"AVMESH-OPENROOM1" + lp16(name))
        invite, relay = keys_of(name, opened)
        s["invitation_keys"].append({"name": name, "open": True, "k": opened.hex(), "invite_key": invite.hex(), "relay_key": relay.hex()})
    for role in (1, 2, 3, 4):
        session, k, a, b, name = rnd(32), rnd(32), pick(role), pick(role + 1), "demo"
        bind = expand(session, b"AVMESH-LINKBIND1", 32)
        key = keys_of(name, k)[0 if role < 3 else 1]
        good = proof(key, role, bind, a, b)
        s["link_bind"].append({"session_key": session.hex(), "bind": bind.hex()})
        s["invitation_proof"].append({"role": role, "key": key.hex(), "bind": bind.hex(), "prover_key_id": a, "verifier_key_id": b, "proof": good.hex()})
        other = keys_of(name, k)[1 if role < 3 else 0]
        bad = [("reflected", proof(key, role, bind, b, a)), ("other role", proof(key, 5 - role, bind, a, b)), ("other key", proof(other, role, bind, a, b)),
               ("long", good + b"\0"), ("empty", b""), ("flipped", good[:-1] + bytes([good[-1] ^ 1]))]
        for why, p in [("right", good)] + bad:
            s["invitation_proof_check"].append({"name": why, "room": name, "k": k.hex(), "role": role, "bind": bind.hex(), "prover_key_id": a,
                                                "verifier_key_id": b, "proof": p.hex(), "valid": why == "right"})
    for i in range(2):
        key, ref, welcome = rnd(32), rnd(32), rnd(60)
        canonical = b"AVMESH-WELCOME-1" + lp16(pick(i)) + lp16(pick(i + 2)) + ref + sha(welcome)
        s["welcome_proof"].append({"invite_key": key.hex(), "inviter_key_id": pick(i), "joiner_key_id": pick(i + 2), "key_package_ref": ref.hex(),
                                   "welcome": welcome.hex(), "canonical": canonical.hex(), "proof": mac(key, b"AVMESH-WELPROOF1" + sha(canonical)).hex()})
        name, instance, root = "room-" + str(i), rnd(16), rnd(32)
        rid = sha(b"AVMESH-ROOMID-V1" + lp16(name) + instance + root)
        s["room_id"].append({"name": name, "instance": instance.hex(), "root": root.hex(), "room_id": rid.hex()})
        for why, n, r in (("right", name, "ok"), ("other name", name + "x", {"error": "RoomIdMismatch"})):
            s["room_id_check"].append({"why": why, "name": n, "head": {"instance": instance.hex(), "root": root.hex()}, "group_id": rid.hex(), "result": r})
        auth = rnd(32)
        s["epoch_tip"].append({"epoch_authenticator": auth.hex(), "tip": sha(b"AVMESH-EPOCHTIP1" + auth).hex()})
        host = "room/" + sha(b"AVMESH-ROOMCHAN1" + lp16(name) + root)[:16].hex()
        s["room_channel"].append({"name": name, "root": root.hex(), "host": host, "publish": host + "/media", "relay": host + "/relay"})
        secret = rnd(32)
        code = exporter(secret, "holomesh room code", rid, 5)
        s["room_code"].append({"exporter_secret": secret.hex(), "room_id": rid.hex(), "exported": code.hex(), "code": crockford(code)})
        s["room_code"].append({"exported": code[::-1].hex(), "code": crockford(code[::-1])})
        s["ring_position"].append({"room_id": rid.hex(), "key_id": pick(i), "position": sha(rid + lp16(pick(i))).hex()})
    return "room", s


def ed(seed):
    key = Ed25519PrivateKey.from_private_bytes(seed)
    return key, key.public_key().public_bytes_raw()


def identity_file():
    s = {"identity": [], "derived_ids": [], "strict_verify": [], "hello": []}
    for i in range(3):
        seed = rnd(32)
        key, entity = ed(seed)
        pq = bytes(32) if i == 0 else rnd(32)
        node = int.from_bytes(kh("net-node-id-v1", entity)[:8], "little")
        s["identity"].append({"seed": seed.hex(), "entity_id": entity.hex(), "node_id": f"{node:016x}", "pq_hash": pq.hex(),
                              "peer_key_id": "mk1" + kh("mesh-peer-key-v1", entity + pq).hex()})
        s["derived_ids"].append({"authority": entity.hex(), "subnet": kh("mesh-subnet-v1", entity)[:16].hex(), "group": kh("mesh-group-v1", entity).hex()})
        message = rnd(10 * i)
        good = key.sign(message)
        scalar = int.from_bytes(good[32:], "little")
        cases = [
            ("valid", entity, good, True), ("other message", entity, key.sign(message + b"x"), False), ("S plus L", entity, good[:32] + (scalar + L).to_bytes(32, "little"), False),
            ("R is the identity", entity, b"\1" + bytes(31) + good[32:], False), ("key of order 4", bytes(32), good, False),
            ("key not canonical", (P + 1).to_bytes(32, "little"), good, False), ("all zero", entity, bytes(64), False), ("short", entity, good[:63], False),
            ("long", entity, good + b"\0", False), ("short key", entity[:31], good, False), ("sign bit", entity[:31] + bytes([entity[31] ^ 0x80]), good, False),
        ]
        for why, public, sig, valid in cases:
            s["strict_verify"].append({"public_key": public.hex(), "message": message.hex(), "signature": sig.hex(), "valid": valid, "why": why})
    for i in range(2):
        seeds, nonce, fp, pq = [rnd(32), rnd(32)], [rnd(32), rnd(32)], [rnd(32), rnd(32)] if i else [bytes(32)] * 2, [rnd(32), bytes(32)]
        keys, wall = [ed(x) for x in seeds], 1_760_000_000_000 + i

        def transcript(a, b):
            parts = (keys[a][1], keys[b][1], nonce[a], nonce[b], fp[a], fp[b], pq[a], pq[b])
            return b"".join(parts)

        auth = [keys[a][0].sign(b"mesh/hello/v1\0" + transcript(a, 1 - a)).hex() for a in (0, 1)]
        hello = b"\1\0\0\0" + keys[0][1] + nonce[0] + pq[0] + wall.to_bytes(8, "little")
        s["hello"].append({"seed_a": seeds[0].hex(), "seed_b": seeds[1].hex(), "nonce_a": nonce[0].hex(), "nonce_b": nonce[1].hex(), "fp_a": fp[0].hex(),
                           "fp_b": fp[1].hex(), "pq_a": pq[0].hex(), "pq_b": pq[1].hex(), "wall_ms": str(wall), "hello_a": hello.hex(),
                           "transcript_a": transcript(0, 1).hex(), "auth_a": auth[0], "auth_b": auth[1]})
    return "control-plane", s


def signatures_file():
    s = {"ml_dsa_65_verify": [], "ml_kem_768_decapsulate": [], "ed25519_verify": []}
    for context in (b"", b"ctx"):
        seed, message = rnd(32), rnd(33)
        key = mldsa.MLDSA65PrivateKey.from_seed_bytes(seed)
        sig = key.sign(message, context) if context else key.sign(message)
        s["ml_dsa_65_verify"].append({"seed": seed.hex(), "pk": key.public_key().public_bytes_raw().hex(), "msg": message.hex(),
                                      "context": context.hex(), "sig": sig.hex()})
    seed = rnd(64)
    kem = mlkem.MLKEM768PrivateKey.from_seed_bytes(seed)
    secret, ct = kem.public_key().encapsulate()
    wrong = ct[:7] + bytes([ct[7] ^ 1]) + ct[8:]
    s["ml_kem_768_decapsulate"].append({"seed": seed.hex(), "pk": kem.public_key().public_bytes_raw().hex(), "ct": ct.hex(), "ss": secret.hex(),
                                        "implicit_reject_ct": wrong.hex(), "implicit_reject_ss": kem.decapsulate(wrong).hex()})
    for n in (0, 50):
        seed, message = rnd(32), rnd(n)
        key, public = ed(seed)
        pkcs8 = bytes.fromhex("302e020100300506032b657004220420") + seed
        s["ed25519_verify"].append({"pk": public.hex(), "pkcs8": pkcs8.hex(), "msg": message.hex(), "sig": key.sign(message).hex()})
    return "mls-0x004d", s


def one_case_per_line(sections):
    def cases(value):
        if isinstance(value, dict):
            return json.dumps(value, ensure_ascii=False)
        return "[\n" + ",\n".join(json.dumps(case, ensure_ascii=False) for case in value) + "\n]"

    return "{\n" + ",\n".join(f'"{name}": {cases(value)}' for name, value in sections.items()) + "\n}"


NOTE = "Made by conformance/generators/keys.py, independently of the product."
for name, (area, sections) in {"seal": seal_file(), "keys": room_file(), "identity": identity_file(), "signatures": signatures_file()}.items():
    head = f'{{"format": "{area}-vectors/1", "note": "{NOTE}",\n"sections": '
    (OUT / f"{name}.json").write_text(head + one_case_per_line(sections) + "}\n")
