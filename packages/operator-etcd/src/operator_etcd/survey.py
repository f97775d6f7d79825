"""Who belongs to the cluster, who answers, who leads: read once, then judged by pure functions.

Observations and the checks before an action both start from here.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from operator_core.call_failures import CallFailure, FailureKind, GarbageError
from operator_core.errors import SubjectUnreachableError
from operator_etcd.client import EtcdClient, normal_endpoint, unreachable
from operator_etcd.shapes import Member, MemberStatus

Answers = dict[str, MemberStatus | CallFailure]


@dataclass(frozen=True)
class Survey:
    """One look at all members.

    Attributes:
        members: the membership, by id; empty where nobody could say it.
        endpoints: where each member that answered was reached, by id.
        statuses: what each member that answered says of itself, by id.
        failures: why each other member gave no answer, by id.
        members_error: why the membership could not be read.
    """

    members: Mapping[str, Member]
    endpoints: Mapping[str, str]
    statuses: Mapping[str, MemberStatus]
    failures: Mapping[str, CallFailure] = field(default_factory=dict)
    members_error: str | None = None

    @property
    def voters(self) -> list[str]:
        """Ids of the members with a vote."""
        return [one.id for one in self.members.values() if not one.is_learner]

    @property
    def quorum_size(self) -> int:
        """How many voters must agree for a write."""
        return len(self.voters) // 2 + 1

    @property
    def leader_id(self) -> str | None:
        """The leader in the newest term that a reachable member follows."""
        followed = [(one.raft_term, one.leader_id) for one in self.statuses.values()]
        led = [(term, leader) for term, leader in followed if leader]
        return max(led)[1] if led else None

    @property
    def leader_endpoint(self) -> str | None:
        """Where the leader is reached, None where it is not."""
        leader = self.leader_id
        return self.endpoints.get(leader) if leader else None

    @property
    def healthy_voters(self) -> list[str]:
        """Voters that answer and, where the cluster has a leader, follow one."""
        answering = [one for one in self.voters if one in self.statuses]
        if self.leader_id is None:
            return answering
        return [one for one in answering if self.statuses[one].leader_id]

    def quorum_without(self, member_id: str) -> bool:
        """Return whether a quorum still stands while a member serves nothing."""
        left = [one for one in self.healthy_voters if one != member_id]
        return len(left) >= self.quorum_size

    def named(self, name: str) -> Member | None:
        """Return the member of a name, None where there is none or more than one."""
        found = [one for one in self.members.values() if one.name == name]
        return found[0] if len(found) == 1 else None


async def survey(client: EtcdClient) -> Survey:
    """Ask every known endpoint, then every member that none of them turned out to be.

    Raises:
        SubjectUnreachableError: no endpoint answers, or they belong to different clusters.
    """
    answers = await _ask(client, client.configured)
    if not _heard(answers):
        answers |= await _ask(client, [one for one in client.endpoints if one not in answers])
    heard = _heard(answers)
    if not heard:
        raise unreachable(one for one in answers.values() if isinstance(one, CallFailure))
    _must_be_one_cluster(heard)
    members, error = await _membership(client, heard)
    client.learn(_advertised(members.values()))
    # Others may advertise addresses that only they can reach, so those who were met are not asked.
    met = {_who(members, url, one) for url, one in heard.items()}
    unmet = _advertised(one for one in members.values() if one.id not in met)
    answers |= await _ask(client, [url for url in unmet if url not in answers])
    seen = _sort(members, answers, error)
    if not seen.statuses:
        raise SubjectUnreachableError(
            f"{', '.join(heard)} answers, but as no member of the cluster. Check the addresses."
        )
    return seen


def _heard(answers: Answers) -> dict[str, MemberStatus]:
    return {url: one for url, one in answers.items() if isinstance(one, MemberStatus)}


async def _ask(client: EtcdClient, endpoints: Sequence[str]) -> Answers:
    async def ask(endpoint: str) -> MemberStatus | CallFailure:
        try:
            return await client.status(endpoint)
        except CallFailure as failure:
            return failure

    return dict(zip(endpoints, await asyncio.gather(*map(ask, endpoints)), strict=True))


def _must_be_one_cluster(heard: Mapping[str, MemberStatus]) -> None:
    clusters = {one.header.cluster_id for one in heard.values()} - {"0"}
    if len(clusters) > 1:
        raise SubjectUnreachableError(
            f"The endpoints {', '.join(heard)} belong to different etcd clusters "
            f"({', '.join(sorted(clusters))}). Configure one subject a cluster."
        )


async def _membership(
    client: EtcdClient, heard: Mapping[str, MemberStatus]
) -> tuple[dict[str, Member], str | None]:
    """Read the member list, from the leader first: a member left behind has an old one."""
    newest = sorted(heard, key=lambda url: (not _leads(heard[url]), -heard[url].raft_index))
    reasons: list[str] = []
    for endpoint in newest:
        try:
            listed = await client.member_list(endpoint)
        except CallFailure as failure:
            reasons.append(str(failure))
        else:
            if listed:
                return {one.id: one for one in listed}, None
            reasons.append(f"{endpoint}: an empty member list")
    return {}, "; ".join(reasons)


def _leads(status: MemberStatus) -> bool:
    return status.leader_id is not None and status.leader_id == status.header.member_id


def _advertised(members: Iterable[Member]) -> list[str]:
    """Return the client addresses that members advertise, those we could use."""
    urls = [url for one in members for url in one.client_urls]
    return [url for url in dict.fromkeys(map(_usable, urls)) if url]


def _usable(url: str) -> str | None:
    try:
        return normal_endpoint(url)
    except ValueError:
        return None


def _sort(members: Mapping[str, Member], answers: Answers, error: str | None) -> Survey:
    endpoints: dict[str, str] = {}
    statuses: dict[str, MemberStatus] = {}
    for url, answer in answers.items():
        if isinstance(answer, MemberStatus):
            member_id = _who(members, url, answer)
            if member_id and member_id not in statuses and (not members or member_id in members):
                endpoints[member_id], statuses[member_id] = url, answer
    failures = {one.id: _why(one, answers) for one in members.values() if one.id not in statuses}
    return Survey(members, endpoints, statuses, failures, error)


def _who(members: Mapping[str, Member], url: str, status: MemberStatus) -> str | None:
    """Return who answered: the header says it, or else the address (etcd 3.4 leaves it out)."""
    if status.header.member_id != "0":
        return status.header.member_id
    owners = [one.id for one in members.values() if url in map(_usable, one.client_urls)]
    return owners[0] if len(owners) == 1 else None


def _why(member: Member, answers: Answers) -> CallFailure:
    for url in filter(None, map(_usable, member.client_urls)):
        answer = answers.get(url)
        if isinstance(answer, CallFailure):
            return answer
        if answer is not None:
            return GarbageError(url, FailureKind.GARBAGE, "another member answers at this address")
    return GarbageError(member.label, FailureKind.NO_NAME, "it has not told a client address yet")
