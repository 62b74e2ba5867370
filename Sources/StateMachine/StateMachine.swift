// RoostStateMachine: what the log means.
//
// Owns the replicated state: keys with their history, sessions and what they were answered, leases, locks, and
// the snapshot of it all; and the index of watches, which each node keeps for its own clients. Pure: an entry and
// its time in, replies and events out, the same on every replica. `ReplicatedState.apply` is the one entry.
//
// Leaves to others how entries come to be and in which order (`Raft`), whose requests they are and who is
// waiting (`Replica`), where snapshots lie (`Journal`), and what bytes mean before they are commands (`Wire`).
