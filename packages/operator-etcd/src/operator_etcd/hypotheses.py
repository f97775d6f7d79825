"""The catalogue of causes that the etcd subject knows."""

from operator_etcd.causes_members import MEMBERS
from operator_etcd.causes_space import SPACE

HYPOTHESES = (*SPACE, *MEMBERS)
