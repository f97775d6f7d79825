"""The base of Operator's models."""

from pydantic import BaseModel, ConfigDict

from operator_core.config import shut_out_pydantic_plugins

shut_out_pydantic_plugins()  # before the first model of ours has a validator


class Deferred(BaseModel):
    """A model whose validator is made when it is first used: a process uses few of them all.

    A restart after a crash, and each command, would wait for those that it never uses.
    """

    model_config = ConfigDict(defer_build=True)
