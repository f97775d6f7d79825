"""What a ledger file lies on is told from the table of what is mounted."""

from pathlib import Path

import pytest

from operator_core.db.sqlite.disk import Disk, Kind, disk_of, trouble_of_names

MOUNTS = r"""
overlay / overlay rw,relatime 0 0
/dev/sda1 /var/lib ext4 rw 0 0
server:/export /var/lib/op\040files nfs4 rw 0 0
tmpfs /run tmpfs rw 0 0
server:/old /data nfs rw 0 0
/dev/sdb1 /data xfs rw 0 0
me@host:/ /far fuse.sshfs rw 0 0
"""


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/ledger.db", Disk("overlay", Kind.FLEETING)),
        ("/run/ledger.db", Disk("tmpfs", Kind.FLEETING)),
        ("/runs/ledger.db", Disk("overlay", Kind.FLEETING)),
        ("/var/lib/ledger.db", Disk("ext4", Kind.LASTING)),
        ("/var/lib/op files/a/ledger.db", Disk("nfs4", Kind.SHARED)),
        ("/far/ledger.db", Disk("fuse.sshfs", Kind.SHARED)),
        ("/data/ledger.db", Disk("xfs", Kind.LASTING)),
    ],
)
def test_the_innermost_mount_counts_and_the_last_at_one_place(
    path: str, expected: Disk, tmp_path: Path
) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(MOUNTS.lstrip())
    assert disk_of(Path(path), mounts) == expected


@pytest.mark.parametrize(
    ("name", "alone"), [("ledger.db", True), ("my ledger\\.db", True), ("other.db", False)]
)
def test_a_file_may_be_mounted_without_its_folder(name: str, alone: bool, tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(rf"""{MOUNTS.lstrip()}/dev/vda {tmp_path}/ledger.db ext4 rw 0 0
/dev/vda {tmp_path}/my\040ledger\134.db ext4 rw 0 0
""")
    (tmp_path / name).touch()
    assert (trouble_of_names(tmp_path / name, mounts) is not None) == alone


def test_a_link_lies_where_it_leads(tmp_path: Path) -> None:
    mounts, link = tmp_path / "mounts", tmp_path / "link.db"
    link.symlink_to("/far/ledger.db")
    mounts.write_text(MOUNTS.lstrip())
    assert disk_of(link, mounts) == Disk("fuse.sshfs", Kind.SHARED)


def test_without_a_table_nobody_can_tell(tmp_path: Path) -> None:
    assert disk_of(tmp_path, tmp_path / "none") is None
    (tmp_path / "ledger.db").touch()
    assert trouble_of_names(tmp_path / "ledger.db", tmp_path / "none") is None


def test_this_machine_is_asked() -> None:
    disk = disk_of(Path("/proc/self"))
    assert disk is not None
    assert disk.name == "proc"
