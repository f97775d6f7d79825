"""The base of Operator's models."""

from pydantic import BaseModel, ConfigDict


class Deferred(BaseModel):
    """A model whose validator is made when it is first used: a process uses few of them all.

    A restart after a crash, and each command, would wait for those that it never uses.
    """

    model_config = ConfigDict(defer_build=True)
