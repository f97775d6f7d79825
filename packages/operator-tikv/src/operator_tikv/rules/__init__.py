"""What holds on a healthy TiKV cluster, by what it is about. Pure functions of an observation.

A store that is Offline or Tombstone is being taken away on purpose: that is no incident.
"""
