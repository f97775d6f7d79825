"""The catalogue of causes that the Patroni subject knows."""

from operator_patroni.causes_cluster import CLUSTER
from operator_patroni.causes_members import MEMBERS

HYPOTHESES = (*CLUSTER, *MEMBERS)
