"""The scenario that `operator lab new` writes."""

TEMPLATE = """\
# A scenario of the lab: what the cluster is, what befalls it, and what a right answer is.
# Play it with `operator lab run FILE`.
name = "an evict-leader scheduler is forgotten"
set = "mine"             # scores are grouped by it
subject = "tikv"         # whose lab it is played on
duration = "20m"         # of the cluster's time: 90s, 10m, 1h30m

[cluster]                # everything here has a default
seed = 7
stores = 4
regions = 60

[load]
factor = 1.0             # of what clients do by default

[[faults]]               # as many as you like, each with its time
at = "5m"
fault = "evict_leader"
stores = [2]
# until = "10m"          # without it the fault stays

[expect]
look_seconds = 30.0      # how often Operator looks
actions = ["undrain_store"]        # exactly these may, and must, be performed
never = ["transfer_leader"]        # these would do harm
ends = "healthy"         # or escalated (a person is asked), quiet (no ticket at all)
approver = "on-call"     # says yes to what the policy asks for; or nobody
approves_after = "30s"

[expect.tickets]         # each problem that must be seen, with the causes that may come first
"evict_leader_left_over:store-2" = ["interrupted_maintenance"]
"""
