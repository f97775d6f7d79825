"""A gateway of three members behind respx, answering as etcd 3.5 or 3.4 does."""

from typing import Any

import httpx
import respx

from etcd_samples import IDS, QUOTA, url

Answers = dict[str, Any]

METRICS_PAGE = f"""# HELP etcd_server_has_leader Whether or not a leader exists.
# TYPE etcd_server_has_leader gauge
etcd_server_has_leader 1
# TYPE etcd_server_quota_backend_bytes gauge
etcd_server_quota_backend_bytes {QUOTA:.7e}
# TYPE etcd_network_active_peers gauge
etcd_network_active_peers{{Local="b",Remote="22"}} 1
etcd_network_active_peers{{Local="b",Remote="33"}} 1
# TYPE etcd_debugging_mvcc_keys_total gauge
etcd_debugging_mvcc_keys_total 6
# TYPE etcd_debugging_mvcc_compact_revision gauge
etcd_debugging_mvcc_compact_revision -1
"""


def header(member_id: str) -> Answers:
    return {"cluster_id": "7", "member_id": member_id, "revision": "100", "raft_term": "2"}


def status_answer(member_id: str, **changes: object) -> Answers:
    answer = {
        "header": header(member_id),
        "version": "3.5.1",
        "dbSize": "20480",
        "leader": "11",
        "raftIndex": "9",
        "raftTerm": "2",
        "dbSizeInUse": "16384",
    }
    return {key: one for key, one in (answer | changes).items() if one is not None}


def member_answer(member_id: str) -> Answers:
    return {
        "ID": member_id,
        "name": f"n{member_id[0]}",
        "peerURLs": [f"http://etcd-{member_id}:2380"],
        "clientURLs": [url(member_id)],
    }


class Gateway:
    """Routes of all members; replace one to break it."""

    def __init__(self, router: respx.Router) -> None:
        self.router = router
        for member_id in IDS:
            self.post(member_id, "maintenance/status", status_answer(member_id))
            members = [member_answer(one) for one in IDS]
            self.post(member_id, "cluster/member/list", {"members": members})
            self.post(member_id, "maintenance/alarm", {"header": header(member_id)})
            self.get(member_id, "/health", {"health": "true", "reason": ""})
            self.get(member_id, "/metrics", METRICS_PAGE)

    def post(self, member_id: str, path: str, answer: object, status: int = 200) -> respx.Route:
        route = self.router.post(f"{url(member_id)}/v3/{path}")
        return route.mock(**_reply(answer, status))

    def get(self, member_id: str, path: str, answer: object, status: int = 200) -> respx.Route:
        return self.router.get(url(member_id) + path).mock(**_reply(answer, status))

    def silence(self, member_id: str, error: Exception) -> None:
        self.router.route(host=f"etcd-{member_id}").mock(side_effect=error)
        for path in ("maintenance/status", "cluster/member/list", "maintenance/alarm"):
            self.router.post(f"{url(member_id)}/v3/{path}").mock(side_effect=error)


def _reply(answer: object, status: int) -> dict[str, Any]:
    if isinstance(answer, Exception):
        return {"side_effect": answer}
    if isinstance(answer, str | bytes):
        return {"return_value": httpx.Response(status, content=answer)}
    return {"return_value": httpx.Response(status, json=answer)}
