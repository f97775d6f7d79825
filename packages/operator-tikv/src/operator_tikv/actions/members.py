"""PD's own servers: who leads them, who should, and who is one of them."""

from dataclasses import dataclass
from typing import Annotated, Final
from urllib.parse import quote

from operator_core.actions.types import ParamDef
from operator_core.errors import ActionFailedError, ActionRefusedError
from operator_core.subject import ProbeAnswer
from operator_core.types import JsonObject, RiskLevel
from operator_tikv.actions.change import Change, action
from operator_tikv.pd.api import PdApi
from operator_tikv.pd.types import Member
from operator_tikv.view import View

LEADER_WAIT_SECONDS: Final = 60.0
_LEAST_WHOLE: Final = 3
"""Two servers of PD survive the failure of none."""

MemberName = Annotated[
    str, ParamDef(type="str", description="Name of the PD member", pattern=r"^[^/?#\s]{1,100}$")
]


@dataclass(frozen=True)
class PdSeen:
    """PD's servers.

    Attributes:
        members: all of them, with their health and priority.
        leader: the name of the one that leads, empty while there is none.
        ready: whether the one the change names has loaded its regions; None where an older PD
            cannot say.
    """

    members: tuple[Member, ...]
    leader: str
    ready: bool | None = None

    def named(self, name: str) -> Member | None:
        """Find a server."""
        return next((member for member in self.members if member.name == name), None)

    @property
    def healthy(self) -> list[str]:
        """The names of those that answer."""
        return [member.name for member in self.members if member.health]


async def see_pd(api: PdApi) -> PdSeen:
    """Look at PD's servers."""
    health = {member.name: member.health for member in await api.health()}
    found = await api.members()
    members = (
        member.model_copy(update={"health": health.get(member.name, False)})
        for member in found.members
    )
    return PdSeen(tuple(members), found.leader.name if found.leader else "")


@dataclass(frozen=True)
class _PdChange(Change[PdSeen]):
    async def read(self, api: PdApi) -> PdSeen:
        """Look at PD's servers."""
        return await see_pd(api)

    def shown(self, now: PdSeen) -> JsonObject:
        """Return who leads and who there is."""
        return {
            "leader": now.leader,
            "members": {member.name: bool(member.health) for member in now.members},
        }

    def progress(self, before: PdSeen, now: PdSeen) -> str:
        """Return who leads."""
        del before
        return f"PD is led by {now.leader or 'nobody'}"


def _known(now: PdSeen, name: str) -> Member:
    member = now.named(name)
    if member is None:
        names = ", ".join(sorted(one.name for one in now.members))
        raise ActionRefusedError(f"PD has no member {name!r}; it has: {names}.")
    return member


@action(
    "resign_pd_leader",
    risk=RiskLevel.MEDIUM,
    tags=("movement",),
    wait_seconds=LEADER_WAIT_SECONDS,
    disruptive=True,
    restored_by="transfer_pd_leader",
)
@dataclass(frozen=True)
class ResignPdLeader(_PdChange):
    """Let PD's leader give up its place, and wait until another one leads."""

    leader: Annotated[
        str, ParamDef(type="str", description="Name of the one that leads now; empty for whoever")
    ] = ""

    def check(self, view: View, now: PdSeen) -> None:
        """It must be the one that was named, and another one must be able to follow."""
        del view
        if self.leader and self.leader != now.leader:
            raise ActionFailedError(f"PD is led by {now.leader or 'nobody'}, not {self.leader}.")
        others = [name for name in now.healthy if name != now.leader]
        if not others:
            raise ActionFailedError("No other PD member is healthy, so nobody could follow.")

    async def send(self, api: PdApi) -> None:
        """Ask for it; PD does it later."""
        await api.client.send("POST", "/leader/resign")

    def holds(self, now: PdSeen) -> bool:
        """It can always be asked for."""
        del now
        return False

    def is_done(self, before: PdSeen, now: PdSeen) -> bool:
        """Whether another one leads."""
        return bool(now.leader) and now.leader != before.leader

    def undo(self, before: PdSeen, after: PdSeen) -> JsonObject | None:
        """Back to the former leader."""
        del after
        return {"name": before.leader} if before.leader else None

    async def probe(self, api: PdApi) -> ProbeAnswer:
        """Only where the former leader was named it can be told from the present one."""
        leader = (await self.read(api)).leader
        if not self.leader or not leader:
            return ProbeAnswer.UNKNOWN
        return ProbeAnswer.NOT_HAPPENED if leader == self.leader else ProbeAnswer.HAPPENED


@action(
    "transfer_pd_leader",
    risk=RiskLevel.MEDIUM,
    tags=("movement",),
    wait_seconds=LEADER_WAIT_SECONDS,
    disruptive=True,
    restored_by="transfer_pd_leader",
)
@dataclass(frozen=True)
class TransferPdLeader(_PdChange):
    """Let a named server lead PD, once it is ready, and wait until it does."""

    name: MemberName

    async def read(self, api: PdApi) -> PdSeen:
        """Look at PD's servers, and whether this one has loaded its regions."""
        seen = await see_pd(api)
        member = seen.named(self.name)
        ready = await api.client.is_ready(member.client_urls) if member else None
        return PdSeen(seen.members, seen.leader, ready)

    def check(self, view: View, now: PdSeen) -> None:
        """It must be healthy and ready."""
        del view
        if not _known(now, self.name).health:
            raise ActionFailedError(f"The PD member {self.name} is not healthy.")
        if now.ready is False:
            raise ActionFailedError(
                f"The PD member {self.name} is still loading regions; as leader it would serve "
                "nobody. Try again later."
            )

    async def send(self, api: PdApi) -> None:
        """Ask for it; PD does it later."""
        await api.client.send("POST", f"/leader/transfer/{quote(self.name, safe='')}")

    def holds(self, now: PdSeen) -> bool:
        """Whether it leads."""
        return now.leader == self.name

    def undo(self, before: PdSeen, after: PdSeen) -> JsonObject | None:
        """Back to the former leader."""
        del after
        return {"name": before.leader} if before.leader else None


@action(
    "set_pd_leader_priority",
    risk=RiskLevel.LOW,
    tags=("config",),
    idempotent=True,
    restored_by="set_pd_leader_priority",
)
@dataclass(frozen=True)
class SetPdLeaderPriority(_PdChange):
    """Set how much a server is preferred as PD's leader; PD may hand over for it."""

    name: MemberName
    priority: Annotated[
        int, ParamDef(type="int", description="The highest leads", minimum=-100, maximum=100)
    ]

    def check(self, view: View, now: PdSeen) -> None:
        """There must be such a server."""
        del view
        _known(now, self.name)

    async def send(self, api: PdApi) -> None:
        """Set it."""
        path = f"/members/name/{quote(self.name, safe='')}"
        await api.client.send("POST", path, {"leader-priority": self.priority})

    def holds(self, now: PdSeen) -> bool:
        """Whether it is so."""
        member = now.named(self.name)
        return member is not None and member.leader_priority == self.priority

    def shown(self, now: PdSeen) -> JsonObject:
        """Return the priorities."""
        return {"priorities": {member.name: member.leader_priority for member in now.members}}

    def undo(self, before: PdSeen, after: PdSeen) -> JsonObject | None:
        """Back to the former priority."""
        del after
        member = before.named(self.name)
        return {"name": self.name, "priority": member.leader_priority} if member else None


@action(
    "delete_pd_member",
    risk=RiskLevel.CRITICAL,
    tags=("membership", "data-loss"),
    disruptive=True,
    shrinks=("pd_members/{name}",),
)
@dataclass(frozen=True)
class DeletePdMember(_PdChange):
    """Take a server out of PD for good, by its name and its id together."""

    name: MemberName
    member_id: Annotated[
        str,
        ParamDef(
            type="str",
            description="Id of the member, as text: it does not fit into every number",
            pattern=r"^\d{1,20}$",
        ),
    ]

    def check(self, view: View, now: PdSeen) -> None:
        """Those that remain must be a healthy majority, and survive a failure."""
        del view
        member = _known(now, self.name)
        if str(member.member_id) != self.member_id:
            raise ActionRefusedError(f"The PD member {self.name} has the id {member.member_id}.")
        if self.name == now.leader:
            raise ActionFailedError("It leads PD; transfer the leader first.")
        remaining = len(now.members) - 1
        healthy = [name for name in now.healthy if name != self.name]
        if 2 * len(healthy) <= remaining:
            raise ActionFailedError(
                f"Of the {remaining} members that remain {len(healthy)} are healthy, which is no "
                "majority."
            )
        if member.health and remaining < _LEAST_WHOLE:
            raise ActionFailedError(
                f"{remaining} members would remain, which survive no failure; add one first."
            )

    async def send(self, api: PdApi) -> None:
        """Delete it by its id, which no other server ever has."""
        await api.client.send("DELETE", f"/members/id/{self.member_id}")

    def holds(self, now: PdSeen) -> bool:
        """Nothing is to be done for a server that is gone; the preflight names it."""
        del now
        return False

    def is_done(self, before: PdSeen, now: PdSeen) -> bool:
        """Whether it is gone."""
        del before
        return all(str(member.member_id) != self.member_id for member in now.members)

    async def probe(self, api: PdApi) -> ProbeAnswer:
        """Gone is gone."""
        now = await self.read(api)
        return ProbeAnswer.HAPPENED if self.is_done(now, now) else ProbeAnswer.NOT_HAPPENED
