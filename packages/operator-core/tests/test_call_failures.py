"""What a call that did not succeed says of the cluster, and where it says nothing."""

import errno
import os
import socket

import pytest

from operator_core.call_failures import FailureKind, NoMeansError, no_connection
from operator_core.errors import ActionFailedError, SubjectUnreachableError

LACKS = [errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS]


def as_raised(*causes: OSError) -> OSError:
    """Return the error of a client that has tried all addresses of a name."""
    outer = OSError("All connection attempts failed")
    outer.__cause__ = ExceptionGroup("tried", causes) if len(causes) > 1 else causes[0]
    return outer


@pytest.mark.parametrize("number", LACKS)
def test_what_this_process_lacks_is_no_failure_of_a_member(number: int) -> None:
    lacks = OSError(number, os.strerror(number))
    with pytest.raises(NoMeansError, match=os.strerror(number)) as caught:
        no_connection("http://n1:2379", as_raised(ConnectionRefusedError(), lacks))
    assert isinstance(caught.value, SubjectUnreachableError)
    assert isinstance(caught.value, ActionFailedError), "it was surely not sent"


def test_a_search_for_an_address_that_lacks_means_is_told_from_an_unknown_name() -> None:
    lacks = socket.gaierror(socket.EAI_SYSTEM, "System error")
    with pytest.raises(NoMeansError, match="System error"):
        no_connection("http://n1:2379", as_raised(lacks))
    unknown = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    assert no_connection("http://n1:2379", as_raised(unknown)).kind is FailureKind.NO_NAME


def test_an_address_of_a_family_that_this_machine_has_not_is_out_of_reach() -> None:
    """A name may have an address of each family, and most containers know one."""
    other = OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address")
    assert no_connection("http://n1:2379", as_raised(other)).kind is FailureKind.UNREACHABLE
