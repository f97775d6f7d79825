"""The simulator's answers against captured answers of real PDs and the exact texts of PD."""

from __future__ import annotations

import json

import pytest

from operator_tikv.simulator import SimulatedCluster
from simulator_kit import Pd, fixture, missing_or_other

# What PD 8.1 printed for a store in `GET /stores`, in this order (optional ones left out).
STORE_KEYS_V8_1 = [
    "id",
    "address",
    "labels",
    "version",
    "peer_address",
    "status_address",
    "git_hash",
    "start_timestamp",
    "deploy_path",
    "last_heartbeat",
    "node_state",
    "state_name",
]
STATUS_KEYS_V8_1 = [
    "capacity",
    "available",
    "used_size",
    "leader_count",
    "leader_weight",
    "leader_score",
    "leader_size",
    "region_count",
    "region_weight",
    "region_score",
    "region_size",
    "slow_score",
    "slow_trend",
    "start_ts",
    "last_heartbeat_ts",
    "uptime",
]


@pytest.fixture
def pd() -> Pd:
    return Pd(SimulatedCluster(seed=7, stores=4, regions=24))


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("fx_cluster_v8.1.0.json", "/cluster"),
        ("fx_schedulers_v8.1.0_evicting.json", "/schedulers"),
        ("fx_config_replicate_v8.5.json", "/config/replicate"),
        ("fx_health_v4.0.14.json", "/health"),
        ("fx_members_v4.0.14.json", "/members"),
        ("fx_stores_v4.0.14.json", "/stores"),
    ],
)
async def test_an_answer_has_every_key_of_the_captured_one_with_its_type(
    pd: Pd, name: str, path: str
) -> None:
    assert missing_or_other(fixture(name), await pd.get(path)) == []


async def test_a_labelled_store_has_every_key_of_the_captured_one(pd: Pd) -> None:
    captured = fixture("fx_store_4.0.10_large_labelled.json")
    assert missing_or_other(captured, await pd.store(1)) == []


async def test_a_draining_store_has_every_key_of_the_captured_one(pd: Pd) -> None:
    await pd.send("DELETE", "/store/1")
    pd.cluster.advance(15)
    captured = fixture("fx_store_offline_draining_v5.1.json")
    captured["status"].pop("sending_snap_count")  # only while it sends
    assert missing_or_other(captured, await pd.store(1)) == []


async def test_a_store_prints_the_keys_of_pd_8_1_in_its_order(pd: Pd) -> None:
    store = await pd.store(1)
    assert list(store["store"]) == STORE_KEYS_V8_1
    assert list(store["status"]) == STATUS_KEYS_V8_1


async def test_a_region_with_down_and_learner_peers_has_every_key_of_the_captured_one(
    pd: Pd,
) -> None:
    region = await pd.region_led_by(1)
    held = {peer["store_id"] for peer in region["peers"]}
    free = next(store_id for store_id in (1, 2, 3, 4) if store_id not in held)
    await pd.send("POST", "/checker/rule", {"delay": 3600})  # it would remove the learner
    body = {"name": "add-learner", "region_id": region["id"], "store_id": free}
    assert (await pd.send("POST", "/operators", body)).status_code == 200
    pd.cluster.advance(0.5)
    pd.cluster.apply_fault("stop_store", max(held))
    pd.cluster.advance(700)
    ours = await pd.get(f"/region/id/{region['id']}")
    captured = fixture("fx_region_2voters_1down_1learner_v6.5.json")
    captured["peers"].reverse()  # the learner first, to compare its keys
    ours["peers"].reverse()
    assert missing_or_other(captured, ours) == []


async def test_the_schedule_config_has_the_scalar_items_of_the_captured_one(pd: Pd) -> None:
    captured = fixture("fx_config_v4.0.14.json")
    for gone in ("schedulers-payload", "store-limit-mode", "store-limit"):
        captured["schedule"].pop(gone)
    ours = await pd.get("/config")
    for part in ("schedule", "replication"):
        assert missing_or_other(captured[part], ours[part]) == []
    assert ours["schedule"]["store-limit"]["1"] == {"add-peer": 15, "remove-peer": 15}


async def test_switches_in_the_config_are_texts(pd: Pd) -> None:
    config = await pd.get("/config")
    assert config["schedule"]["halt-scheduling"] == "false"
    assert config["replication"]["enable-placement-rules"] == "true"
    assert config["schedule"]["max-store-down-time"] == "30m0s"


async def test_an_operator_text_can_be_read_like_the_captured_one(pd: Pd) -> None:
    region = await pd.region_led_by(1)
    target = next(p["store_id"] for p in region["peers"] if p["store_id"] != 1)
    body = {"name": "transfer-leader", "region_id": region["id"], "to_store_id": target}
    await pd.send("POST", "/operators", body)
    (ours,) = await pd.get("/operators?kind=admin")
    captured = fixture("fx_operator_string_replace_down.json")
    for part in (" {", " (kind:", ", region:", "(", "createAt:", "currentStep:0", "steps:["):
        assert part in ours
        assert part in captured
    assert ours.startswith("admin-transfer-leader {transfer leader: store 1 to ")


async def test_most_answers_are_indented_json_with_a_newline(pd: Pd) -> None:
    answer = await pd.send("GET", "/stores")
    assert answer.headers["content-type"] == "application/json; charset=UTF-8"
    assert answer.text.startswith('{\n  "count": 4,\n  "stores": [\n')
    assert answer.text.endswith("}\n")


@pytest.mark.parametrize(
    "path", ["/region/id/5", "/regions", "/regions/store/1", "/regions/check/down-peer"]
)
async def test_region_reads_are_compact_octet_streams(pd: Pd, path: str) -> None:
    answer = await pd.send("GET", path)
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.text == json.dumps(answer.json(), separators=(",", ":"))


async def test_the_region_count_is_indented_json_all_the_same(pd: Pd) -> None:
    answer = await pd.send("GET", "/regions/count")
    assert answer.text == '{\n  "count": 24,\n  "regions": null\n}\n'


async def test_an_unknown_region_answers_200_with_id_zero(pd: Pd) -> None:
    answer = await pd.send("GET", "/region/id/999999")
    assert answer.status_code == 200
    assert answer.text == (
        '{"id":0,"start_key":"","end_key":"","leader":{"role_name":""},"cpu_usage":0,'
        '"written_bytes":0,"read_bytes":0,"written_keys":0,"read_keys":0,'
        '"approximate_size":0,"approximate_keys":0}'
    )


async def test_a_region_prints_its_keys_in_pds_order(pd: Pd) -> None:
    region = await pd.region_led_by(1)
    assert list(region) == [
        "id",
        "start_key",
        "end_key",
        "epoch",
        "peers",
        "leader",
        "cpu_usage",
        "written_bytes",
        "read_bytes",
        "written_keys",
        "read_keys",
        "approximate_size",
        "approximate_keys",
    ]
    assert list(region["peers"][0]) == ["role_name", "id", "store_id"]


async def test_a_region_is_found_by_its_key_as_hex_and_raw(pd: Pd) -> None:
    region = (await pd.get("/regions"))["regions"][5]
    by_hex = await pd.get(f"/region/key/{region['start_key']}?format=hex")
    raw = "".join(f"%{byte:02X}" for byte in bytes.fromhex(region["start_key"]))
    by_raw = await pd.get(f"/region/key/{raw}")
    assert by_hex["id"] == by_raw["id"] == region["id"]


async def test_the_order_of_stores_is_random_but_repeatable() -> None:
    async def orders() -> list[list[int]]:
        pd = Pd(SimulatedCluster(stores=6, regions=6))
        found = []
        for _ in range(8):
            pd.cluster.advance(1)
            found.append([s["store"]["id"] for s in (await pd.get("/stores"))["stores"]])
        return found

    first = await orders()
    assert len({tuple(order) for order in first}) > 1
    assert first == await orders()


async def test_reading_changes_nothing(pd: Pd) -> None:
    twin = SimulatedCluster(seed=7, stores=4, regions=24)
    for _ in range(5):
        for path in ("/stores", "/regions", "/operators", "/members", "/stores/limit"):
            await pd.get(path)
        await pd.metrics()
        pd.cluster.advance(7)
    twin.advance(35)
    assert pd.cluster.digest == twin.digest


async def test_member_ids_do_not_fit_into_a_float(pd: Pd) -> None:
    members = await pd.get("/members")
    ids = [member["member_id"] for member in members["members"]]
    assert all(2**53 < member_id < 2**64 for member_id in ids)
    assert any(int(float(member_id)) != member_id for member_id in ids)


@pytest.mark.parametrize(
    ("method", "path", "status", "text"),
    [
        ("GET", "/store/99", 404, "[PD:core:ErrStoreNotFound]store 99 not found"),
        ("GET", "/stores/check?state=odd", 400, "unknown StoreState: odd"),
        ("GET", "/operators/5", 500, "[PD:operator:ErrOperatorNotFound]operator not found"),
        ("DELETE", "/operators/5", 500, "[PD:operator:ErrOperatorNotFound]operator not found"),
        ("GET", "/operators/records", 500, "[PD:operator:ErrOperatorNotFound]operator not found"),
        ("POST", "/store/1/state?state=odd", 400, "invalid state odd"),
        (
            "DELETE",
            "/schedulers/odd",
            404,
            "[PD:scheduler:ErrSchedulerNotFound]scheduler not found",
        ),
    ],
)
async def test_errors_are_json_strings_with_pds_texts(
    pd: Pd, method: str, path: str, status: int, text: str
) -> None:
    answer = await pd.send(method, path)
    assert (answer.status_code, answer.text) == (status, json.dumps(text) + "\n")


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/store/abc", None),
        ("DELETE", "/store/-1", None),
        ("POST", "/operators", b"{"),
        ("POST", "/operators", b"[]"),
        ("POST", "/operators", b"\xff\xfe"),
        ("POST", "/schedulers", b""),
        ("POST", "/config", b"7"),
    ],
)
async def test_bad_ids_and_bodies_answer_an_object_with_a_code(
    pd: Pd, method: str, path: str, body: bytes | None
) -> None:
    answer = await pd.raw(method, f"/pd/api/v1{path}", body)
    assert answer.status_code == 400
    assert answer.headers["TiDB-Error-Code"] == "input"
    assert answer.json()["code"] == "input"


async def test_unknown_routes_and_methods_answer_as_gorilla_does(pd: Pd) -> None:
    unknown = await pd.send("GET", "/nothing")
    assert (unknown.status_code, unknown.text) == (404, "404 page not found\n")
    wrong = await pd.send("PUT", "/stores")
    assert (wrong.status_code, wrong.text) == (405, "")


async def test_health_and_ping_exist_at_the_root_too(pd: Pd) -> None:
    assert (await pd.raw("GET", "/pd/health")).json() == await pd.get("/health")
    assert (await pd.raw("GET", "/pd/ping")).status_code == 200
    assert (await pd.raw("GET", "/pd/api/v2/ready")).json() == {"region_loaded": True}


async def test_the_date_header_shows_virtual_time(pd: Pd) -> None:
    pd.cluster.advance(3600)
    answer = await pd.send("GET", "/store/1")
    assert answer.headers["date"] == "Sun, 15 Jun 2025 16:06:40 GMT"


async def test_the_metrics_have_pds_names_and_labels(pd: Pd) -> None:
    metrics = await pd.metrics()
    assert metrics['pd_cluster_status{type="store_up_count",engine="tikv",store="1"}'] == 1
    assert metrics['pd_regions_status{type="down-peer-region-count"}'] == 0
    assert metrics['pd_regions_status{type="empty-region-count"}'] == 0
    address = 'address="tikv-0.tikv-peer:20160",store="1"'
    assert metrics[f'pd_scheduler_store_status{{{address},type="region_count"}}'] > 0
    assert metrics['pd_scheduler_status{kind="balance-leader-scheduler",type="allow"}'] == 1
    assert metrics['service_member_role{service="PD"}'] == 1
    assert metrics["etcd_server_is_leader"] == 1


async def test_an_up_store_counts_in_exactly_one_of_five_states(pd: Pd) -> None:
    pd.cluster.apply_fault("stop_store", 1)
    for seconds, kind in ((30, "disconnected"), (600, "unhealth"), (1300, "down")):
        pd.cluster.advance(seconds)
        metrics = await pd.metrics()
        states = {
            name: metrics[f'pd_cluster_status{{type="store_{name}_count",engine="tikv",store="1"}}']
            for name in ("up", "slow", "disconnected", "unhealth", "down")
        }
        assert states == {name: float(name == kind) for name in states}
